"""The page on LangGraph shows what really happens, and names the settings that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from midwatch.config import GraphSettings
from midwatch.config.nodes import FACT_FIELDS
from midwatch.config.reading import declared
from pydantic import SecretStr

PAGE = (Path(__file__).parents[3] / "docs" / "shim" / "langgraph.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return key


def test_the_tree_of_the_example_is_the_tree_of_its_run(shim: Any, server: Any) -> None:
    key = SecretStr("k")
    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=key, max_retries=0)

    def supervisor(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    def billing_agent(state: Any) -> Any:
        answer = model.invoke(state["messages"])
        look_up.invoke({"key": "invoice"})
        return {"messages": [answer]}

    given = {
        "supervisor": supervisor,
        "billing_agent": billing_agent,
        "output_guard": lambda _: {},
        "choose": lambda _: "billing_agent",
        "question": {"messages": [("human", "why?")]},
    }
    exec(compile(block("python"), "langgraph.md", "exec"), dict(given))  # noqa: S102
    shown = block("text").splitlines()
    # The request of the second call is not shown again.
    tree = [line for number, line in enumerate(shim.tree()) if "POST" not in line or number == 3]
    for documented, real in zip(shown, tree, strict=True):
        assert re.match(rf"{re.escape(real)}( {{2,}}|$)", documented), (documented, real)


def test_each_setting_and_each_kind_of_fact_is_documented() -> None:
    for _, one in declared(GraphSettings):
        assert f"`{one.variable}" in PAGE or f"{one.variable}=" in PAGE, one.variable
    for kind, fields in FACT_FIELDS.items():
        assert f"| `{kind}` |" in PAGE
        assert all(f"`{name}`" in PAGE for name in fields)
