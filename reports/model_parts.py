"""[[models]] of the models that survey.toml asks for by name: their keys are the arguments of the model's class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from inspect import Parameter, Signature, signature
from operator import or_
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, create_model

from .. import models
from ..models.model import Model
from .parts import Part


class _Sequence:
    """Sequences are written as lists and kept as tuples."""

    def __class_getitem__(cls, item):
        return tuple[item, ...]


# What the annotations of the models' classes mean in a form. An array is a list of lists of true and false.
MEANING = {
    "Sequence": _Sequence,
    "Mapping": dict,
    "np": SimpleNamespace(ndarray=tuple[tuple[bool, ...], ...]),
    "Any": Any,
}


@cache
def part_of(model: type[Model]) -> type[Part]:
    """The section of the form that asks for `model`: `name`, `model`, and the arguments after the data.

    A trailing underscore (lambda_) is not written in the form.
    """
    fields: dict[str, Any] = {"name": (str, ...), "model": (Literal[model.__name__], model.__name__)}
    extra = "forbid"
    for argument in arguments(model):
        if argument.kind is Parameter.VAR_KEYWORD:
            extra = "allow"  # the model itself refuses names that it does not know
            continue
        plain = argument.name.removesuffix("_")
        alias = plain if plain != argument.name else None
        default = ... if argument.default is Signature.empty else argument.default
        fields[argument.name] = (_type(argument.annotation), Field(default=default, alias=alias))
    base = type("ModelPart", (Part,), {"__module__": __name__, "model_config": ConfigDict(extra=extra)})
    return create_model(model.__name__, __base__=base, **fields)


def models_of(data: str) -> tuple[type[Model], ...]:
    """The public models whose only data are of the class `data`."""
    public = [getattr(models, name) for name in models.__all__]
    classes = [thing for thing in public if isinstance(thing, type) and issubclass(thing, Model)]
    return tuple(model for model in classes if _data(model) == [data])


def _data(model: type[Model]) -> list[str]:
    """The annotations of the data: the arguments without a default that a form cannot write."""
    return [str(a.annotation) for a in signature(model.__init__).parameters.values() if _is_data(a)]


def _is_data(argument: Parameter) -> bool:
    needed = argument.default is Signature.empty and argument.kind is not Parameter.VAR_KEYWORD
    return argument.name != "self" and needed and _type(argument.annotation) is Any


def plain(model: type[Model]) -> Part:
    """The part of a form that asks for `model` and nothing more."""
    return part_of(model).model_validate({"name": "constant"})


def arguments(model: type[Model]) -> list[Parameter]:
    """The arguments of a model other than its data."""
    known = signature(model.__init__).parameters.items()
    return [argument for name, argument in known if name != "self" and not _is_data(argument)]


def _type(annotation: object) -> Any:
    """The type that a form can be checked against; what is not understood is passed on unchecked."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(MEANING))
    except (NameError, AttributeError, TypeError, SyntaxError):
        return Any


def one_of(kinds: Sequence[type[Model]], default: str | None = None) -> Any:
    """The type of an entry of [[models]]: the part of the model that it names, or of the default."""
    named = [Annotated[part_of(model), Tag(model.__name__)] for model in kinds]
    chosen = Discriminator(lambda entry: _get(entry, "model") or default)
    return Annotated[reduce(or_, named[1:], named[0]), chosen] if len(named) > 1 else part_of(kinds[0])


def _get(entry: object, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else getattr(entry, key, None)


def built(part: Any, *data) -> Model:
    """The model that a part of the form asks for, of some data; what the form leaves out is the model's default."""
    said = {name: value for name, value in part if name not in ("name", "model")}
    defaults = {name: field.default for name, field in type(part).model_fields.items()}
    extra = part.model_extra or {}
    given = {name: value for name, value in said.items() if name in extra or value != defaults[name]}
    return getattr(models, part.model)(*data, **given)
