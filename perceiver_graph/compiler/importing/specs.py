"""For each model class the function that writes its spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perceiver_graph.compiler.importing import classes, images, texts, videos
from perceiver_graph.compiler.importing.draft import Configuration, Draft

BUILDERS: Mapping[str, Callable[[Configuration], Draft]] = {
    classes.MASKED_LM: texts.masked_lm,
    classes.TEXT_CLASSIFIER: texts.text_classifier,
    classes.LEARNED: images.learned,
    classes.FOURIER: images.fourier,
    classes.CONV: images.conv,
    classes.FLOW: images.flow,
    classes.MULTIMODAL: videos.multimodal,
}
"""Each makes a draft without version, name and summary; what is wrong with the settings is told
to their report."""
