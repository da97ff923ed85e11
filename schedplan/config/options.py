"""Calling a named factory with options from a configuration, checked against its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, Strict, ValidationError, create_model

from schedplan.errors import ConfigError, MissingKeyError, SchedplanError
from schedplan.yaml_file import KeyPath, unknown_key

_SCALARS = {bool, int, float, str}

_WORDS = {
    "a valid boolean": "true or false",
    "a valid dictionary": "a mapping",
    "a valid integer": "a whole number",
    "a valid list": "a list",
    "a valid number": "a number",
    "a valid string": "a text",
}


def bind(factory: Callable[..., Any], options: Mapping[str, Any], path: KeyPath) -> partial[Any]:
    """Return `factory` with `options` checked and filled in, to be called without arguments.

    Args:
        factory: a function or class whose parameters are annotated.
        options: its arguments by name.
        path: where the options stand in the configuration, for messages.

    Raises:
        ConfigError: for an option that is unknown, missing or of the wrong type.

    Example:
        >>> from schedplan.knees import Patience
        >>> bind(Patience, {"epochs": 5}, ("knee",))()
        Patience(epochs=5, min_delta=0.0)
    """
    signature = signature_of(factory, path)
    parameters = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    takes_any = len(parameters) < len(signature.parameters)
    for name in options:
        if name not in parameters and not takes_any:
            raise unknown_key(name, list(parameters), path)
    fields: dict[str, Any] = {
        name: (
            _annotation(parameter),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for name, parameter in parameters.items()
    }
    model = create_model(
        "Options", __config__=ConfigDict(arbitrary_types_allowed=True, extra="allow"), **fields
    )
    try:
        checked = model.model_validate(dict(options))
    except ValidationError as error:
        raise from_pydantic(error, path) from error
    return partial(factory, **{name: getattr(checked, name) for name in options})


def signature_of(factory: Callable[..., Any], path: KeyPath = ()) -> inspect.Signature:
    """Return what may be given to a factory, with types where its annotations can be read.

    Raises:
        ConfigError: if it does not say what it takes.

    Example:
        >>> from schedplan.knees import Patience
        >>> signature_of(Patience).parameters["epochs"].annotation
        <class 'int'>
    """
    try:
        as_written = inspect.signature(factory)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{factory!r} cannot be called with options by name",
            allowed="a class or function that makes one, such as `def make(): return ...`",
            path=path,
        ) from error
    try:
        return inspect.signature(factory, eval_str=True)
    except Exception:  # an annotation that only type checkers, or people, can read
        return as_written


def call(factory: Callable[[], Any], what: str, path: KeyPath) -> Any:
    """Call a bound factory; whatever it objects to becomes an error at `path`."""
    try:
        return factory()
    except SchedplanError as error:
        error.path = (*path, *error.path)
        raise
    except (Exception, SystemExit) as error:  # the code is somebody else's
        raise ConfigError(
            f"cannot make {what}: {type(error).__name__}: {error}", path=path
        ) from error


def from_pydantic(error: ValidationError, path: KeyPath = ()) -> ConfigError:
    """Return the first of pydantic's complaints in this project's form."""
    first = error.errors()[0]
    place = (*path, *first["loc"])
    name = ".".join(map(str, place))
    if first["type"] == "missing":
        return MissingKeyError(
            f"the key {name!r} is missing", hint=f"add it, or --set {name}=...", path=place
        )
    return ConfigError(f"{name} is {first['input']!r}", allowed=_expected(first["msg"]), path=place)


def _expected(message: str) -> str:
    """Turn 'Input should be a valid integer' into 'a whole number'."""
    expected = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return _WORDS.get(expected, expected)


def _annotation(parameter: inspect.Parameter) -> Any:
    """Return the parameter's type; plain numbers and texts are not converted into each other."""
    annotation = parameter.annotation
    if annotation is parameter.empty or isinstance(annotation, str):
        return Any
    alternatives = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = [get_origin(each) or each for each in alternatives]
    plain = set(kinds) - {type(None)}
    if len(plain) > 1 and plain <= _SCALARS | {list}:  # pydantic would name each kind's complaint
        return Annotated[Any, AfterValidator(partial(_one_of, kinds))]
    return Annotated[annotation, Strict()] if plain <= _SCALARS else annotation


def _one_of(kinds: Sequence[type], value: object) -> object:
    if type(value) not in kinds:
        raise ValueError(" or ".join(kind.__name__ for kind in kinds))
    return value
