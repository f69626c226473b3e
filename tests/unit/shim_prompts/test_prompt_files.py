"""Prompts as version-controlled files: formats, versions, labels, and what is wrong with them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from midwatch import prompts
from midwatch.prompts import PromptDefinitionError, PromptLibrary, PromptNotFoundError
from midwatch.prompts.checking import check_folder
from midwatch.prompts.labels import version_order
from typer.testing import CliRunner

GREETING = """
    ---
    description: Opens a conversation.
    variables:
      customer: {type: str, description: the customer's first name}
      tone: {values: [formal, friendly], default: friendly}
    config: {model: small, temperature: 0.2}
    ---
    Greet {{ customer }} in a {{tone}} way.
"""


def text(folder, name, version, **variables) -> str:
    (message,) = folder.read().definition(name, version).fill(variables)
    return message.content


def test_a_markdown_file_is_a_text_prompt_with_front_matter(folder):
    folder.write("greeting/1.md", GREETING)
    definition = folder.read().definition("greeting", "1")
    assert definition.type == "text"
    assert definition.description == "Opens a conversation."
    assert definition.config == {"model": "small", "temperature": 0.2}
    assert text(folder, "greeting", "1", customer="Ada") == "Greet Ada in a friendly way."


def test_a_yaml_file_is_the_same_prompt(folder):
    folder.write(
        "greeting/1.yaml",
        """
        variables: {customer: str}
        template: |-
          Greet {{ customer }}.
        """,
    )
    assert text(folder, "greeting", "1", customer="Ada") == "Greet Ada."


CHATS = {
    "1.md": """
        ---
        type: chat
        variables: {question: str}
        ---
        ## system
        Be brief.

        # A heading of the prompt itself

        ## user
        {{ question }}
    """,
    "1.yaml": """
        variables: {question: str}
        messages:
          - {role: system, content: "Be brief.\\n\\n# A heading of the prompt itself"}
          - {role: user, content: "{{ question }}"}
    """,
}


@pytest.mark.parametrize("file", CHATS)
def test_a_chat_prompt_has_messages_with_roles(folder, file):
    folder.write(f"triage/{file}", CHATS[file])
    messages = folder.read().definition("triage", "1").fill({"question": "Why?"})
    assert [(one.role, one.content) for one in messages] == [
        ("system", "Be brief.\n\n# A heading of the prompt itself"),
        ("user", "Why?"),
    ]


def test_a_prompt_without_front_matter_is_plain_text(folder):
    folder.write("plain/1.md", "Just say hello.\n")
    assert text(folder, "plain", "1") == "Just say hello."


def test_versions_are_ordered_as_people_read_them():
    versions = ["10", "9", "v1.10", "v1.9", "1", "2026-11-01", "2026-2-01"]
    assert sorted(versions, key=version_order) == [
        "v1.9",
        "v1.10",
        "1",
        "9",
        "10",
        "2026-2-01",
        "2026-11-01",
    ]


def version_of(folder, label: str = "production") -> str:
    return PromptLibrary(folder.read()).labelled("greeting", label, "")[0].version


def test_without_labels_production_is_the_highest_version(folder):
    for version in ("2", "9", "10"):
        folder.write(f"greeting/{version}.md", "Hello.")
    assert version_of(folder) == "10"


def test_labels_say_which_version_is_in_force(folder):
    for version in ("1", "2", "3"):
        folder.write(f"greeting/{version}.md", "Hello.")
    folder.write("labels.yaml", "greeting: {production: 1, staging: 2}")
    assert version_of(folder) == "1"
    assert version_of(folder, "staging") == "2"
    assert version_of(folder, "latest") == "3"
    with pytest.raises(PromptNotFoundError, match="its labels production, staging, latest"):
        version_of(folder, "canary")


def test_a_version_in_labels_needs_no_quotes(folder):
    for version in ("1.1", "1.10"):
        folder.write(f"greeting/{version}.md", "Hello.")
    folder.write("labels.yaml", "greeting: {production: 1.10}")
    assert version_of(folder) == "1.10"


def test_a_change_of_the_files_is_seen_without_a_restart(folder):
    folder.write("greeting/1.md", "Hello.")
    folder.write("greeting/2.md", "Good day.")
    labels = folder.write("labels.yaml", "greeting: {production: 2}")
    library = PromptLibrary(folder.read())
    assert library.labelled("greeting", "production", "")[0].version == "2"
    labels.write_text("greeting:\n  production: 1\n")
    assert library.labelled("greeting", "production", "")[0].version == "1"


def test_a_prompt_that_is_not_there_is_told_with_those_that_are(folder):
    folder.write("greeting/1.md", "Hello.")
    library = PromptLibrary(folder.read())
    with pytest.raises(
        PromptNotFoundError, match=r"'greetings' was not found.*there are: greeting"
    ):
        library.labelled("greetings", "production", "")
    with pytest.raises(PromptNotFoundError, match=r"no version '7'; its versions are 1"):
        library.version("greeting", "7")
    with pytest.raises(PromptNotFoundError, match="MIDWATCH_PROMPTS_DIR"):
        PromptLibrary(None).version("greeting", "1")


@pytest.mark.parametrize("name", ["../outside", "a/b", "/etc", ".."])
def test_no_name_leads_out_of_the_folder(folder, name):
    (folder.path.parent / "outside").mkdir()
    (folder.path.parent / "outside" / "1.md").write_text("secret")
    folder.write("a/b/1.md", "secret")
    with pytest.raises(PromptNotFoundError):
        PromptLibrary(folder.read()).version(name, "1")


WRONG = {
    "an unknown key": ("1.md", "---\nvarables: {}\n---\nHi", "unknown key 'varables'"),
    "an unknown type": ("1.md", "---\nvariables: {a: text}\n---\n{{ a }}", "allowed are str, int"),
    "an undeclared variable": ("1.md", "{{ a }} {{ b }}", "{{ b }} is not declared"),
    "an unused variable": ("1.md", "---\nvariables: {a: str}\n---\nHi", "variables.a: is never"),
    "logic in a template": ("1.md", "one\n{{ a.b }}", "line 2: '{{ a.b }}' is no variable"),
    "an enum without values": ("1.md", "---\nvariables: {a: enum}\n---\n{{ a }}", "needs it"),
    "a default of the wrong type": (
        "1.md",
        "---\nvariables: {a: {type: int, default: x}}\n---\n{{ a }}",
        "default of a: needs int, given 'x'",
    ),
    "a key that stands twice": ("1.md", "---\ntype: text\ntype: chat\n---\nHi", "stands twice"),
    "front matter that is no map": ("1.md", "---\n- a\n---\nHi", "to be a map"),
    "a body in the front matter": ("1.md", "---\ntemplate: a\n---\nHi", "is the text below it"),
    "a chat without a heading": ("1.md", "---\ntype: chat\n---\nHi", "begins with a heading"),
    "an empty text": ("1.md", "---\ndescription: a\n---\n\n", "not empty"),
    "YAML that is none": ("1.yaml", "a: [", "line 1"),
    "a YAML file that is no map": ("1.yaml", "- a", "needs a map"),
    "text and messages": ("1.yaml", "template: a\nmessages: []", "not `template`"),
    "no messages": ("1.yaml", "messages: []", "needs a list of maps"),
    "a message without a role": ("1.yaml", "messages: [{content: a}]", "exactly `role`"),
    "an unknown role": ("1.yaml", "messages: [{role: bot, content: a}]", "allowed are system"),
    "an empty message": ("1.yaml", "messages: [{role: user, content: ''}]", "not empty"),
    "an unknown kind of prompt": ("1.yaml", "type: image", "allowed are text, chat"),
    "a config that is no map": ("1.yaml", "template: a\nconfig: [b]", "config: needs a map"),
    "variables that are no map": ("1.yaml", "template: a\nvariables: [b]", "needs a map of names"),
    "a variable that is no name": ("1.yaml", "template: a\nvariables: {a-b: str}", "letters"),
    "a variable without a type": ("1.yaml", "template: a\nvariables: {a: 3}", "needs a type"),
    "an unknown key of a variable": (
        "1.yaml",
        "template: '{{ a }}'\nvariables: {a: {kind: str}}",
        "unknown key 'kind'",
    ),
    "values that are no texts": (
        "1.yaml",
        "template: '{{ a }}'\nvariables: {a: {values: [1]}}",
        "put quotes",
    ),
    "a version that is no name": ("1 2.md", "Hi", "version '1 2'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_is_said_with_what_is_right(folder, case):
    file, content, told = WRONG[case]
    written = folder.write(f"greeting/{file}", "")
    written.write_text(content)
    with pytest.raises(PromptDefinitionError) as refused:
        folder.read().definition("greeting", written.stem)
    assert told in str(refused.value)


WRONG_LABELS = {
    "greeting: {production: 9}": "greeting.production: there is no version '9'; there are: 1",
    "greetings: {production: 1}": "greetings: there is no such prompt; there are: greeting",
    "greeting: {latest: 1}": "take it out",
    "greeting: 1": "needs a map of labels",
    "[greeting]": "needs a map of prompts",
    "greeting: {production: {a: 1}}": "a map with `variants`",
    "greeting: {production: {variants: {}}}": "needs from 1 to 20, given 0",
    "greeting: {production: {variants: {a: {version: 1}}}}": "exactly `version` and `weight`",
    "greeting: {production: {variants: {a: {version: 1, weight: -1}}}}": "a number from 0 up",
    "greeting: {production: {variants: {a: {version: 1, weight: x}}}}": "a number from 0 up",
    "greeting: {production: {variants: {a: {version: 1, weight: 0}}}}": "must be above 0",
    "greeting: {production: {variants: {a b: {version: 1, weight: 1}}}}": "variants.a b",
    "greeting: {production: {variants: {a: {version: [1], weight: 1}}}}": "needs letters",
    "greeting: {production: {variants: {a: {version: 9, weight: 1}}}}": "no version '9'",
    "greeting: {production: {seed: 1, variants: {a: {version: 1, weight: 1}}}}": "unknown key",
    "greeting: {production: a b}": "'a b': needs letters",
    "greeting: {production: [": "line 1",
}


@pytest.mark.parametrize("labels", WRONG_LABELS)
def test_what_is_wrong_with_labels_is_said_with_what_is_right(folder, labels):
    folder.write("greeting/1.md", "Hello.")
    folder.write("labels.yaml", labels)
    ((file, problem),) = check_folder(folder.path).problems
    assert file == "labels.yaml"
    assert WRONG_LABELS[labels] in problem


def check(*arguments: str):
    from midwatch.cli import app

    return CliRunner().invoke(app, ["prompts", "check", *arguments])


def test_the_check_of_a_sound_folder_passes(folder):
    folder.write("greeting/1.md", GREETING)
    folder.write("README.md", "How we write prompts.")
    folder.write("labels.yaml", "greeting: {production: 1}")
    done = check(str(folder.path))
    assert done.exit_code == 0
    assert done.output == "1 prompts, 1 versions, 0 problems\n"


def test_the_check_tells_every_problem_of_every_file_and_fails(folder):
    folder.write("greeting/1.md", "---\nvariables: {a: strr, b: int}\nkind: x\n---\n{{ c }}")
    folder.write("greeting/1.yaml", "template: Hello.")
    folder.write("triage/notes.txt", "to do")
    folder.write("stray.md", "Hello.")
    folder.write("labels.yaml", "triage: {production: 3}")
    done = check(str(folder.path))
    assert done.exit_code == 1
    for told in (
        "greeting/1.md: unknown key 'kind'",
        "greeting/1.md: variables.a: type 'strr'",
        "greeting/1.md: variables.b: is never used",
        "greeting/1.md: {{ c }} is not declared",
        "greeting: version 1 is in 2 files",
        "triage: has no versions",
        "stray.md: is no prompt",
        "labels.yaml: triage",
        "problems\n",
    ):
        assert told in done.output


def test_the_check_can_be_read_by_a_program(folder, monkeypatch):
    folder.write("a b/1.md", "Hello.")
    monkeypatch.setenv("MIDWATCH_PROMPTS_DIR", str(folder.path))
    done = check("--json")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert told["prompts"] == told["versions"] == 1
    assert {one["file"] for one in told["problems"]} == {"a b", "a b/1.md"}


def test_the_check_of_an_empty_folder_says_how_to_begin(folder):
    done = check(str(folder.path))
    assert done.exit_code == 1
    assert "write the first as NAME/1.md" in done.output


def test_the_check_without_a_folder_is_wrong_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check().exit_code == 2
    assert check(str(tmp_path / "none")).exit_code == 2


def test_empty_labels_are_none(folder):
    folder.write("greeting/1.md", "Hello.")
    folder.write("labels.yaml", "# to be filled in")
    assert check_folder(folder.path).problems == []
    assert version_of(folder) == "1"


def test_a_version_is_got_by_its_number(folder, monkeypatch):
    folder.write("greeting/1.md", "Hello.")
    monkeypatch.setenv("MIDWATCH_PROMPTS_DIR", str(folder.path))
    monkeypatch.setattr(prompts, "_library", None)
    for version in ("1", 1):
        found = prompts.get("greeting", version)
        assert (found.version, found.label, found.variant) == ("1", "", "none")
    monkeypatch.setattr(prompts, "_library", None)


def test_a_ledger_that_reads_definitions_loads_nothing_of_telemetry():
    read = (
        "import sys\n"
        "import midwatch.prompts.definitions, midwatch.prompts.labels\n"
        "print(*(name for name in sys.modules if name.startswith(('opentelemetry', 'midwatch.'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert "midwatch.prompts.labels" in loaded
    assert {name for name in loaded if not name.startswith("midwatch.prompts")} == set()


def test_names_that_the_package_does_not_have_are_told():
    assert {"Prompt", "PromptLibrary", "get"} <= set(dir(prompts))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = prompts.nothing_of_the_kind
