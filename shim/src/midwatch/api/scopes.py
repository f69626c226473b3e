"""What is common to everything with a duration: a with-block, and a decorator for any function.

A scope can be suspended and resumed, so that a generator's scope is in force only while the
generator's own code runs and never leaks into the code that consumes it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Scope:
    """Something with a beginning and an end; subclasses say what these mean."""

    def begin(self) -> None:
        """Begin, without being in force yet."""
        raise NotImplementedError

    def end(self, error: BaseException | None) -> None:
        """End, with the exception that ended it, if any."""
        raise NotImplementedError

    def enter(self) -> Callable[[], None]:
        """Come into force; returns what suspends it again."""
        raise NotImplementedError

    def again(self) -> Self:
        """A fresh scope like this one, for one call of a decorated function."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.begin()
        self._suspend = self.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.end(error)
        finally:
            self._suspend()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """The function with a scope of its own around each call."""
        if inspect.isasyncgenfunction(function):
            wrapper = self._around_async_generator(function)
        elif inspect.iscoroutinefunction(function):
            wrapper = self._around_coroutine(function)
        elif inspect.isgeneratorfunction(function):
            wrapper = self._around_generator(function)
        else:
            wrapper = self._around_function(function)
        return cast("_Function", functools.wraps(function)(wrapper))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.again():
                return function(*args, **kwargs)

        return wrapper

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.again():
                return await function(*args, **kwargs)

        return wrapper

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            scope = self.again()
            scope.begin()
            generator = function(*args, **kwargs)
            with scope.ending():
                return (yield from _Steps(generator, scope))

        return wrapper

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            scope = self.again()
            scope.begin()
            generator = function(*args, **kwargs)
            with scope.ending():
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
            suspend()

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
