"""Settings in sentences: ``at a learning rate of 0.01``, and never a flag's name."""

from collections.abc import Collection, Sequence

from normlab.settings.declare import Setting, settings_of
from normlab.settings.members import MemberSettings
from normlab.settings.norms import NormSettings
from normlab.settings.training import NetworkSettings, TrainingSettings

_DECLARED: dict[str, Setting] = {
    spec.name: setting
    for kind in (NetworkSettings, TrainingSettings, NormSettings, MemberSettings)
    for spec, setting in settings_of(kind)
}
_SWITCH = ("True", "False")


def phrase(name: str, value: str) -> str:
    """A setting and its value in a sentence.

    Args:
      name: the name of a setting, or of a column of a figure's table.
      value: its value, as labels have it: ``0.01``, ``False``.

    Returns:
      What the setting declares (`Setting.said` and `Setting.phrase`), or else ``at
      epsilon 0.001`` for a number, and ``with noise place before`` for a word.
    """
    setting = _DECLARED.get(name)
    if setting and _key(value) in setting.said:
        return setting.said[_key(value)]
    words = setting.phrase if setting else ""
    plain, said = name.replace("_", " "), _said(value)
    if isinstance(words, tuple) and value in _SWITCH:
        return words[_SWITCH.index(value)]
    if isinstance(words, str) and words:
        return words.format(said)
    if value in _SWITCH:
        return f"{'with' if value == _SWITCH[0] else 'without'} {plain}"
    return f"{'at' if _is_number(value) else 'with'} {plain} {said}"


def label_phrases(label: str, groupings: Collection[str] = ()) -> list[str]:
    """The parts of a label in words: of a setting, or of a point on the axes.

    ``batch, norm_dense True`` is ``with batch`` and ``with norms also after the dense
    layer``; ``lr 0.1`` is ``at a learning rate of 0.1``.

    Args:
      groupings: the names of groupings, which stand in labels without their setting's.
    """
    return [_part(text, groupings) for text in label.split(", ")]


def _part(text: str, groupings: Collection[str]) -> str:
    name, _, value = text.partition(" ")
    if text == "none":
        return "without a norm"
    if value and not value.startswith("("):
        return phrase(name, value)
    if text in groupings:
        return phrase("grouping", text)
    return f"with {text.replace('_', ' ')}"


def joined(phrases: Sequence[str]) -> str:
    """Phrases in one: ``at a learning rate of 0.1 and width 2, with random groups``.

    Those with the same first word stand together, and a phrase stands once: ``without
    a norm or a learned scale`` lacks both.
    """
    groups: dict[str, list[str]] = {}
    for each in dict.fromkeys(phrases):
        first, _, rest = each.partition(" ")
        groups.setdefault(first, []).append(rest)
    between = {"without": " or "}
    return ", ".join(
        f"{first} {between.get(first, ' and ').join(rests)}"
        for first, rests in groups.items()
    )


def _said(value: str) -> str:
    """A value in words: ``anti-correlated``, ``2`` for ``2.0``."""
    return _key(value).replace("anti_", "anti-").replace("_", " ")


def _key(value: str) -> str:
    """A value as `Setting.said` has it: ``0`` for ``0.0``."""
    return f"{float(value):g}" if _is_number(value) and "." in value else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
