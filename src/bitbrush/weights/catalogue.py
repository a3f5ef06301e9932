"""Which networks have public weights: where, under which hash and licence, for which input.

Published accuracy stands in the registry of networks. A network without an entry has no public
download in a form that can be imported; its weights come with bitbrush or from a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..networks.registry import network_spec

_CROP = "RGB, centre crop of 224/256 of the short side, bicubic to 224, ImageNet mean and deviation"


@dataclass(frozen=True)
class PublishedWeights:
    """One file that its authors published.

    Attributes:
        network: name in the registry.
        url: where its authors host it.
        sha256: SHA-256 in hex; only its first digits where `whole` is False.
        whole: whether all 64 digits are known.
        licence: of the weights, as its authors state it.
        source: the project it belongs to.
        preprocessing: what the published accuracy was measured with.
    """

    network: str
    url: str
    sha256: str
    licence: str
    source: str
    preprocessing: str
    whole: bool = True

    @property
    def file_name(self) -> str:
        """The file's name at its source."""
        return self.url.rpartition("/")[2]

    def matches(self, digest: str) -> bool:
        """Whether a file with this SHA-256 (64 hex digits) is the published one."""
        return digest == self.sha256 if self.whole else digest.startswith(self.sha256)


def _larq(network: str, release: str, file: str, sha256: str) -> PublishedWeights:
    url = f"https://github.com/larq/zoo/releases/download/{release}/{file}"
    return PublishedWeights(network, url, sha256, "Apache-2.0", "larq-zoo", _CROP)


def _bmxnet(network: str, file: str, sha256: str) -> PublishedWeights:
    url = f"https://raw.githubusercontent.com/hpi-xnor/BMXNet/master/smd_hpi/binary_models/{file}"
    return PublishedWeights(
        network,
        url,
        sha256,
        "Apache-2.0",
        "BMXNet",
        "RGB 0..255 minus [123.68, 116.779, 103.939], 224x224",
    )


def _torchvision(network: str, file: str, sha256: str) -> PublishedWeights:
    # torchvision puts eight digits into file names; the rest is known where others measured it.
    return PublishedWeights(
        network,
        f"https://download.pytorch.org/models/{file}",
        sha256,
        "BSD-3-Clause",
        "torchvision",
        "RGB, bilinear to 256, centre crop of 224, ImageNet mean and deviation",
        whole=len(sha256) == 64,
    )


CATALOGUE: dict[str, PublishedWeights] = {
    entry.network: entry
    for entry in (
        _larq(
            "quicknet",
            "quicknet-v0.2.1",
            "quicknet_weights.h5",
            "7b4fa94f5241c7aad3412ca42b5db6517dbc4847cff710cb82be10c2f83bc0be",
        ),
        _larq(
            "quicknet-large",
            "quicknet_large-v0.2.1",
            "quicknet_large_weights.h5",
            "6bf778e243466c678d6da0e3a91c77deec4832460046fca9e6ac8ae97a41299c",
        ),
        _larq(
            "quicknet-xl",
            "quicknet_xl-v0.1.1",
            "quicknet_xl_weights.h5",
            "19a41e753dbd4fbc3cbdaecd3627fb536ef55d64702996aae3875a8de3cf8073",
        ),
        _larq(
            "quicknet-v1-small",
            "quicknet-v1.0",
            "quicknet_small_weights.h5",
            "1ac3b07df7f5a911dd0b49febb2486428ddf1ca130297c403815dfae5a1c71a2",
        ),
        _larq(
            "quicknet-v1",
            "quicknet-v1.0",
            "quicknet_weights.h5",
            "8aba9e4e5f8d342faef04a0b2ae8e562da57dbb7d15162e8b3e091c951ba756c",
        ),
        _larq(
            "quicknet-v1-large",
            "quicknet-v1.0",
            "quicknet_large_weights.h5",
            "c5158e8a59147b31370becd937825f4db8a5cdf308314874f678f596629be45c",
        ),
        _larq(
            "xnornet",
            "xnornet-v0.2.0",
            "xnornet_weights.h5",
            "e6ba24f785655260ae76a2ef1fab520e3528243d9c8fac430299cd81dbeabe10",
        ),
        _larq(
            "dorefanet",
            "dorefanet-v0.1.0",
            "dorefanet_weights.h5",
            "645d7839d574faa3eeeca28f3115773d75da3ab67ff6876b4de12d10245ecf6a",
        ),
        _larq(
            "binary-alexnet",
            "binary_alexnet-v0.3.0",
            "binary_alexnet_weights.h5",
            "7fc065c47c5c1d92389e0bb988ce6df6a4fa09d803b866e2ba648069d6652d63",
        ),
        _larq(
            "birealnet",
            "birealnet-v0.3.0",
            "birealnet_weights.h5",
            "6e6efac1584fcd60dd024198c87f42eb53b5ec719a5ca1f527e1fe7e8b997117",
        ),
        _larq(
            "resnet-e18",
            "resnet_e-v0.1.0",
            "resnet_e_18_weights.h5",
            "bde4a64d42c164a7b10a28debbe1ad5b287c499bc0247ecb00449e6e89f3bf5b",
        ),
        _larq(
            "binary-densenet28",
            "binary_densenet-v0.1.0",
            "binary_densenet_28_weights.h5",
            "21fe3ca03eed244df9c41a2219876fcf03e73800932ec96a3e2a76af4747ac53",
        ),
        _larq(
            "binary-densenet37",
            "binary_densenet-v0.1.0",
            "binary_densenet_37_weights.h5",
            "8056a5d52c3ed86a934893987d09a06f59a5166aa9bddcaedb050f111d0a7d76",
        ),
        _larq(
            "binary-densenet37-dilated",
            "binary_densenet-v0.1.0",
            "binary_densenet_37_dilated_weights.h5",
            "15c1bcd79b8dc22971382fbf79acf364a3f51049d0e584a11533e6fdbb7363d3",
        ),
        _larq(
            "binary-densenet45",
            "binary_densenet-v0.1.0",
            "binary_densenet_45_weights.h5",
            "d00a0d26fbd2dba1bfba8c0306c770f3aeea5c370e99f963bb239bd916f72c37",
        ),
        _larq(
            "realtobinary",
            "r2b-v0.1.0",
            "r2b_weights.h5",
            "e8fd16ca1ab9810ac3835f24f5c62758a57bc32a615f73aaa50d382d2b9617e1",
        ),
        _larq(
            "meliusnet22",
            "meliusnet22-v0.1.0",
            "meliusnet22_weights.h5",
            "c1ba85e8389ae326009665ec13331e49fc3df4d0f925fa8553e224f7362c18ed",
        ),
        _bmxnet(
            "resnet18-bmxnet",
            "binarized_imagenet-resnet18-64bit-0040.params",
            "833c1077ed4ca85a7e9fa9643f95d6fd9964e0ffb1e2ce6511014cb975bbcc76",
        ),
        _bmxnet(
            "resnet18-bmxnet-fp1",
            "binarized_imagenet-resnet18-64bit-1st-stage-fullprecision-0038.params",
            "6a99044a9be44573ea236a29cb49b28499943b0247d85c26fa53777c3d5d7224",
        ),
        _torchvision(
            "vgg16",
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        _torchvision("vgg19", "vgg19-dcbb9e9d.pth", "dcbb9e9d"),
        _torchvision(
            "squeezenet",
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        ),
        _torchvision("googlenet", "googlenet-1378be20.pth", "1378be20"),
    )
}
"""The published file of each network that has one."""


def published(name: str) -> PublishedWeights | None:
    """The published file of a network, or None if there is no download.

    Raises:
        InputError: no network of that name.
    """
    return CATALOGUE.get(network_spec(name).name)
