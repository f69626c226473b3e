"""The self-RAG loop by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from security_agent.assistant import prompts
from security_agent.assistant.knowledge import Passage, load_passages
from security_agent.assistant.selfrag import (
    MAX_ATTEMPTS,
    SelfRagSteps,
    attempts,
    decide,
    standalone,
)

PASSAGES = [Passage("a#one", "A", "Alpha."), Passage("b#two", "B", "Beta.")]


class Script:
    """A model that answers each role with its next line, and remembers the queries."""

    def __init__(self, graded, written=(), judged=(), rewritten=()):
        self.lines = {
            prompts.RAG_GRADER: list(graded),
            prompts.RAG_ANSWER: list(written),
            prompts.RAG_JUDGE: list(judged),
            prompts.RAG_REWRITER: list(rewritten),
        }
        self.queries = []

    def ask(self, messages):
        return self.lines[messages[0].content].pop(0)

    def search(self, query):
        self.queries.append(query)
        return PASSAGES

    def run(self, question="What is alpha?"):
        return list(attempts(question, SelfRagSteps(self.search, self.ask, self.ask)))


def test_a_grounded_answer_with_citations_is_final():
    script = Script(['{"relevant": [1]}'], ["Alpha [a#one]."], ["Grounded."])
    (attempt,) = script.run()
    assert (attempt.decision, attempt.citations) == ("final", ("a#one",))
    assert attempt.relevant == (PASSAGES[0],)


def test_no_relevant_passage_leads_to_another_query_and_its_answer():
    script = Script(
        ['{"relevant": []}', '{"relevant": [2]}'], ["Beta [b#two]."], ["grounded"], ["beta letter"]
    )
    first, second = script.run()
    assert (first.decision, first.reason) == ("retry", "irrelevant")
    assert second.decision == "final"
    assert script.queries == ["What is alpha?", "beta letter"]


@pytest.mark.parametrize(
    ("written", "judged", "reason"),
    [("Alpha.", [], "no_citation"), ("Alpha [z#made-up].", [], "no_citation"),
     ("Alpha [a#one].", ["ungrounded"], "ungrounded")],
)  # fmt: skip
def test_what_is_not_supported_is_never_final(written, judged, reason):
    script = Script(
        ['{"relevant": [1]}'] * 3, [written] * 3, judged * 3, ["other words", "more words"]
    )
    rounds = script.run()
    assert [a.decision for a in rounds] == ["retry", "retry", "escalate"]
    assert {a.reason for a in rounds} == {reason}


@pytest.mark.parametrize("graded", ["no JSON", '{"relevant": "all"}', '{"relevant": [7]}', "{bad}"])
def test_a_grade_that_cannot_be_read_counts_as_irrelevant(graded):
    rounds = Script([graded] * 3, rewritten=["x", "y"]).run()
    assert rounds[-1].decision == "escalate"


@given(
    attempt=st.integers(1, MAX_ATTEMPTS),
    relevant=st.integers(0, 5),
    citations=st.integers(0, 5),
    grounded=st.booleans(),
)
def test_only_grounded_and_cited_answers_are_final_and_only_the_last_attempt_escalates(
    attempt, relevant, citations, grounded
):
    decision, reason = decide(
        attempt=attempt, relevant=relevant, citations=citations, grounded=grounded
    )
    assert (decision == "final") == (grounded and citations > 0)
    assert decision != "escalate" or attempt == MAX_ATTEMPTS
    assert decision != "retry" or attempt < MAX_ATTEMPTS
    assert reason


def test_a_follow_up_is_made_to_stand_by_itself_and_a_whole_question_is_left_alone():
    earlier = "Earlier in this session:\n- asked: What is alpha? / rag_agent answered: A letter.\n"
    assert standalone("Who wrote that?", earlier, lambda messages: "Who wrote alpha?") == (
        "Who wrote alpha?"
    )
    question = "How long are security logs kept?"
    assert standalone(question, earlier, lambda messages: "wrong") == question
    assert standalone("Who wrote that?", "", lambda messages: "wrong") == "Who wrote that?"


def test_the_corpus_has_documents_whose_sections_have_names_of_their_own():
    passages = load_passages()
    assert len({p.id.split("#")[0] for p in passages}) >= 15
    assert len({p.id for p in passages}) == len(passages)
    assert all(len(p.text) > 100 for p in passages)


def test_a_corpus_without_documents_is_refused_with_its_place(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_passages(tmp_path)
