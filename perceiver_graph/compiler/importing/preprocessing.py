"""preprocessor_config.json of any age: how transformers prepares pictures, in the words of a spec.

What it does, of 2021 as of today: cut out the centre, resize, multiply, normalise. What a spec cannot
say, or what is not known here, is never dropped without a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perceiver_graph.diagnostics import quote
from perceiver_graph.media.image.model import IMAGENET_MEAN, IMAGENET_STD, RESAMPLING

PICTURES = "preprocessor_config.json"
PROCESSORS = "processor_config.json"
"""As transformers 5 writes it: the settings of several processors, each under a key."""
_OF_PICTURES = "image_processor"

_LARGEST = 1e6  # of means and deviations
_LARGEST_SIDE = 100_000

_FOLLOWED = frozenset(
    {"do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale"}
    | {"rescale_factor", "do_normalize", "image_mean", "image_std"}
)
_WITHOUT_EFFECT = frozenset(
    {"feature_extractor_type", "image_processor_type", "processor_class", "auto_map"}
    | {"do_convert_rgb", "data_format", "input_data_format", "return_tensors", "device"}
    | {"disable_grouping", "default_to_square", "transformers_version"}
)
"""What the file says about itself, about the library, or about the layout of arrays."""

Size = tuple[int, int]
Data = dict[str, Any]


@dataclass
class Preprocessing:
    """Typed access to the file; what cannot be followed is noted."""

    given: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    file: str = PICTURES
    """Where that stands."""

    @classmethod
    def of_files(cls, found: Mapping[str, Mapping[str, Any]]) -> Preprocessing:
        """What the files of a folder say, by name, where transformers looks first."""
        made = cls(found.get(PICTURES, {}))
        for name in (PICTURES, PROCESSORS):  # the last one counts
            rest = dict(found.get(name, {}))
            if isinstance(rest.get(_OF_PICTURES), Mapping):
                made = cls(rest.pop(_OF_PICTURES), made.notes, name)
            if name in (PROCESSORS, made.file) and rest != made.given:
                made._look_at_unknown(rest, name)
        if made.file == PROCESSORS and found.get(PICTURES, made.given) != made.given:
            made._note("says something else and was not read, as in transformers", PICTURES)
        return made

    def size(self) -> Size | None:
        """Height and width that pictures are resized to, where the file says it."""
        return self._size("size")

    def media(self, size: Size) -> Data:
        """The `image` media of an input of a height and a width."""
        self._look_at_kind()
        self._look_at_unknown(self.given, self.file)
        image = self._cut(size) | self._resampling() | self._normal()
        return {"image": image}

    def _look_at_kind(self) -> None:
        for key in ("image_processor_type", "feature_extractor_type"):
            kind = self.given.get(key)
            if isinstance(kind, str) and not kind.startswith("Perceiver"):
                self._note(
                    f"it is of a {quote(kind)}, which may prepare pictures in another order than a "
                    "Perceiver's: its settings are read as those of a Perceiver's"
                )
                return

    def _look_at_unknown(self, settings: Mapping[str, Any], file: str) -> None:
        known = _WITHOUT_EFFECT | (_FOLLOWED if settings is self.given else set())
        for key, value in settings.items():
            if key not in known and value not in (None, False):
                self._note(
                    f"{quote(key)} ({quote(value)}) is not known here, and not followed", file
                )

    def _cut(self, size: Size) -> Data:
        if not self._flag("do_resize"):
            self._note(
                f"`do_resize` is false, but the model takes {size[0]} x {size[1]} pixels: pictures "
                "are resized all the same"
            )
        if not self._flag("do_center_crop"):
            return {"stretch": True}
        to, crop = self.size() or (224, 224), self._size("crop_size") or (256, 256)
        shares = to[0] / crop[0], to[1] / crop[1]
        if to[0] != to[1] or shares[0] != shares[1]:
            self._note(
                f"`size` {to[0]} x {to[1]} and `crop_size` {crop[0]} x {crop[1]} are not square: "
                "what is cut out has the aspect ratio of the model, and differs from what "
                "transformers cuts out of pictures that are not square"
            )
        if max(shares) > 1:
            self._note("`size` exceeds `crop_size`: pictures are not padded with black around them")
        share = min(max(shares), 1.0)
        return {} if share == 0.875 else {"crop": share}

    def _resampling(self) -> Data:
        value = self.given.get("resample")
        if value is None:
            return {}
        for name, number in RESAMPLING.items():
            if type(value) is int and value == number:
                if name != "bicubic":
                    self._note(f"pictures are resized with the filter {name}, as it says")
                return {} if name == "bicubic" else {"resample": name}
        self._unusable("resample")
        return {}

    def _normal(self) -> Data:
        """Mean and deviation of pixels from 0 to 1, where the file has them of pixels times a factor."""
        mean, std = [0.0] * 3, [1.0] * 3
        if self._flag("do_normalize"):
            mean = self._channels("image_mean") or IMAGENET_MEAN
            std = self._channels("image_std", positive=True) or IMAGENET_STD
        factor = self._factor()
        if factor != 1:
            mean, std = [v / factor for v in mean], [v / factor for v in std]
        found = {"mean": mean, "std": std}
        usual = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
        return {key: values for key, values in found.items() if values != usual[key]}

    def _factor(self) -> float:
        """What pixels from 0 to 1 are multiplied by."""
        if not self._flag("do_rescale"):
            return 255.0
        value = self.given.get("rescale_factor")
        if value is None or value == 1 / 255:
            return 1.0
        if type(value) in (int, float) and 1e-6 < value < 1e6:
            return 255.0 * float(value)
        self._unusable("rescale_factor")
        return 1.0

    def _channels(self, key: str, *, positive: bool = False) -> list[float] | None:
        """A number for each of red, green and blue; one number stands for all three."""
        value = self.given.get(key)
        if value is None:
            return None
        values = value if isinstance(value, list) else [value] * 3
        numbers = all(type(v) in (int, float) and abs(v) <= _LARGEST for v in values)
        if len(values) == 3 and numbers and (not positive or min(values) > 1 / _LARGEST):
            return [float(v) for v in values]
        self._unusable(key)
        return None

    def _size(self, key: str) -> Size | None:
        """Height and width; one number, as files of 2021 have it, stands for both."""
        value = self.given.get(key)
        if value is None:
            return None
        pair = (value, value)
        if isinstance(value, Mapping):
            pair = (value.get("height"), value.get("width"))
        elif isinstance(value, list) and len(value) == 2:
            pair = (value[0], value[1])
        if all(type(n) is int and 0 < n <= _LARGEST_SIDE for n in pair):
            return pair
        self._unusable(key)
        return None

    def _flag(self, key: str) -> bool:
        value = self.given.get(key)
        if value is None or isinstance(value, bool):
            return value is not False
        self._unusable(key)
        return True

    def _unusable(self, key: str) -> None:
        self._note(f"`{key}` is {quote(self.given[key])}, which is not followed")

    def _note(self, text: str, file: str = "") -> None:
        note = f"{file or self.file}: {text}"
        if note not in self.notes:
            self.notes.append(note)
