"""All lessons by name."""

from __future__ import annotations

from . import Lesson
from .content_taps import LESSON as CONTENT_TAPS
from .gallery import LESSON as GALLERY
from .networks import LESSON as NETWORKS
from .pooling import LESSON as POOLING
from .style_taps import LESSON as STYLE_TAPS
from .tv import LESSON as TV

LESSONS: dict[str, Lesson] = {
    lesson.name: lesson for lesson in (TV, STYLE_TAPS, CONTENT_TAPS, POOLING, NETWORKS, GALLERY)
}
