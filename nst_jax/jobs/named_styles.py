"""The styles that have names: those of the models that ship, and how a command asks for each."""

from typing import NamedTuple

from nst_jax.stylizers import list_models, model_path, read_styles


class NamedStyle(NamedTuple):
    """A style of a model that ships.

    Attributes:
        name: What it is called.
        model: The model's name.
        is_only: Whether the model has no other, so that nobody need name it.
    """

    name: str
    model: str
    is_only: bool

    @property
    def words(self) -> tuple[str, ...]:
        """The options by which `nst-jax stylize` is told of it."""
        style = () if self.is_only else ("--style", self.name)
        return ("--model", self.model, *style)


def list_named_styles() -> tuple[NamedStyle, ...]:
    """Return all styles of all models that ship, in the order of their models' names."""
    styles = {model: read_styles(model_path(model)) for model in list_models()}
    return tuple(
        NamedStyle(name, model, len(names) == 1)
        for model, names in styles.items()
        for name in names
    )
