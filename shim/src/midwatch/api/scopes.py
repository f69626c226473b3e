"""What is common to everything with a duration: a with-block, and a decorator for any function.

A scope can be suspended and resumed, so that a generator's scope is in force only while the
generator's own code runs and never leaks into the code that consumes it. Whatever fails in a scope
is counted and stays in it: the code inside never notices.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar, cast

from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.failures import FAILURES

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Suspend = Callable[[], None]


def _nothing() -> None:
    """Suspends what never came into force."""


_OTHER_RUNS: ContextVar[tuple[tuple[Scope, Scope], ...]] = ContextVar(
    "midwatch_other_runs", default=()
)
"""Blocks that run although their scope ran already: the scope, and what runs in its place."""


class Scope:
    """Something with a beginning and an end; subclasses say what these mean."""

    _suspend: _Suspend | None = None

    def _begin(self) -> None:
        """Begin, without being in force yet."""

    def _end(self, error: BaseException | None) -> None:
        """End, with the exception that ended it, if any."""

    def _enter(self) -> _Suspend:
        """Come into force; returns what suspends it again."""
        return _nothing

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Learn what the decorated function is called with."""

    def _returned(self, result: object) -> None:
        """Learn what the decorated function returns."""

    def again(self) -> Self:
        """A fresh scope like this one, for one call of a decorated function."""
        return type(self)()

    def _fresh(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Scope:
        """A fresh scope for one call of the decorated function."""
        return self.again()

    def fresh(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Scope:
        """A fresh scope for one call of the decorated function; never raises."""
        try:
            return self._fresh(function, args, kwargs)
        except Exception as error:
            self._note(error)
            return Scope()

    def begin(self) -> None:
        """Begin, without being in force yet; never raises."""
        try:
            self._begin()
        except Exception as error:
            self._note(error)

    def end(self, error: BaseException | None) -> None:
        """End, with the exception that ended it, if any; never raises."""
        try:
            self._end(error)
        except Exception as failure:
            self._note(failure)

    def enter(self) -> _Suspend:
        """Come into force; returns what suspends it again; never raises."""
        try:
            return self._enter()
        except Exception as error:
            self._note(error)
            return _nothing

    def called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Learn what the decorated function is called with; never raises."""
        try:
            self._called(function, args, kwargs)
        except Exception as error:
            self._note(error)

    def returned(self, result: object) -> None:
        """Learn what the decorated function returns; never raises."""
        try:
            self._returned(result)
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        FAILURES.note(f"api.{type(self).__name__.lower()}", error)

    def __enter__(self) -> Self:
        if not get_recorder().enabled:
            return self
        mark = object()
        # One step, so that of two threads that share a scope only one takes it.
        if self.__dict__.setdefault("_mark", mark) is not mark:
            run = self.again()
            _OTHER_RUNS.set((*_OTHER_RUNS.get(), (self, run)))
            return run.__enter__()
        self.begin()
        self._suspend = self.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        other = _take_other_run(self)
        if other is not None:
            other.__exit__(kind, error, trace)
            return
        suspend, self._suspend = self._suspend, None
        if suspend is None:
            return
        try:
            self.end(error)
        finally:
            self._leave(suspend)
            self.__dict__.pop("_mark", None)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """The function with a scope of its own around each call."""
        if isinstance(function, classmethod | staticmethod):
            return cast("_Function", type(function)(self(function.__func__)))
        if inspect.isclass(function) or not callable(function):
            # A class must stay the class that it is.
            self._note(TypeError(f"only functions can be decorated, not {type(function)!r}"))
            return function
        if _is(inspect.isasyncgenfunction, function):
            wrapper = self._around_async_generator(function)
        elif _is(inspect.iscoroutinefunction, function):
            wrapper = self._around_coroutine(function)
        elif _is(inspect.isgeneratorfunction, function):
            wrapper = self._around_generator(function)
        else:
            wrapper = self._around_function(function)
        return cast("_Function", functools.wraps(function)(wrapper))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not get_recorder().enabled:
                return function(*args, **kwargs)
            with self.fresh(function, args, kwargs) as scope:
                scope.called(function, args, kwargs)
                result = function(*args, **kwargs)
                scope.returned(result)
                return result

        return wrapper

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not get_recorder().enabled:
                return await function(*args, **kwargs)
            with self.fresh(function, args, kwargs) as scope:
                scope.called(function, args, kwargs)
                result = await function(*args, **kwargs)
                scope.returned(result)
                return result

        return wrapper

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            if not get_recorder().enabled:
                return (yield from generator)
            scope = self.fresh(function, args, kwargs)
            scope.begin()
            with scope.ending():
                scope.called(function, args, kwargs)
                result = yield from _Steps(generator, scope)
                scope.returned(result)
                return result

        return wrapper

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            generator = function(*args, **kwargs)
            scope = self.fresh(function, args, kwargs) if get_recorder().enabled else Scope()
            scope.begin()
            with scope.ending():
                scope.called(function, args, kwargs)
                step = functools.partial(generator.asend, None)
                while True:
                    try:
                        with scope.in_force():
                            item = await step()
                    except StopAsyncIteration:
                        return
                    try:
                        step = functools.partial(generator.asend, (yield item))
                    except GeneratorExit:
                        with scope.in_force():
                            await generator.aclose()
                        raise
                    except BaseException as error:
                        step = functools.partial(generator.athrow, error)

        return wrapper

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """In force inside the block."""
        suspend = self.enter()
        try:
            yield
        finally:
            self._leave(suspend)

    def _leave(self, suspend: _Suspend) -> None:
        try:
            suspend()
        except Exception as error:
            self._note(error)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Ends with the block, in force or not."""
        try:
            yield
        except BaseException as error:
            with self.in_force():
                self.end(error)
            raise
        else:
            with self.in_force():
                self.end(None)


def _is(test: Callable[[Any], bool], function: object) -> bool:
    """Whether the function is of a kind, or the object's `__call__` is."""
    return test(function) or (
        not inspect.isroutine(function) and test(getattr(type(function), "__call__", None))  # noqa: B004
    )


def _take_other_run(scope: Scope) -> Scope | None:
    """What runs in this context in place of the scope, if anything; it ends now."""
    others = _OTHER_RUNS.get()
    for index in range(len(others) - 1, -1, -1):
        if others[index][0] is scope:
            _OTHER_RUNS.set(others[:index] + others[index + 1 :])
            return others[index][1]
    return None


class _Steps(Generator[Any, Any, Any]):
    """A generator whose scope is in force during each step only."""

    def __init__(self, generator: Generator[Any, Any, Any], scope: Scope) -> None:
        self._generator = generator
        self._scope = scope

    def send(self, value: Any) -> Any:
        with self._scope.in_force():
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with self._scope.in_force():
            return self._generator.throw(*error)

    def close(self) -> None:
        with self._scope.in_force():
            self._generator.close()
