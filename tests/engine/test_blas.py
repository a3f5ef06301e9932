"""Small dense algebra on one thread."""

import ctypes
import threading
from pathlib import Path

import pytest
import torch

from bitbrush.engine.blas import on_one_thread


@pytest.fixture
def mkl_threads():
    """MKL's count of threads, as it says itself."""
    for path in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"):
        if hasattr(library := ctypes.CDLL(str(path)), "MKL_Get_Max_Threads"):
            return library.MKL_Get_Max_Threads
    pytest.skip("torch computes without MKL here")


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_mkl_has_one_thread_inside_and_as_many_as_before_outside(mkl_threads):
    before = mkl_threads()
    with on_one_thread():
        assert mkl_threads() == 1
        with on_one_thread():
            assert mkl_threads() == 1
        assert mkl_threads() == 1
    assert mkl_threads() == before


@pytest.mark.usefixtures("three_threads")
def test_it_is_as_before_after_an_error(mkl_threads):
    before = mkl_threads()
    with pytest.raises(ZeroDivisionError), on_one_thread():
        raise ZeroDivisionError
    assert mkl_threads() == before


@pytest.mark.usefixtures("three_threads")
def test_torch_keeps_its_count_in_every_thread():
    counts = []

    def look():
        with on_one_thread():
            counts.append(torch.get_num_threads())
        counts.append(torch.get_num_threads())

    look()
    other = threading.Thread(target=look)
    other.start()
    other.join()
    assert counts == [3] * 4
