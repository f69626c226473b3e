"""SQLAlchemy, by the official instrumentation and beyond the versions that it knows."""

from __future__ import annotations

from importlib import util

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor


class SqlAlchemyInstrumentation:
    """Instruments every engine that is made from now on."""

    def instrument(self) -> None:
        """Do it.

        The official package declines SQLAlchemy 2.1 in silence, though all of it works there. Its
        last step, asynchronous engines, imports what needs greenlet: without it there are none.

        Raises:
            ImportError: something else is missing.
        """
        try:
            SQLAlchemyInstrumentor().instrument(skip_dep_check=True)
        except ImportError:
            if util.find_spec("greenlet") is not None:
                raise
