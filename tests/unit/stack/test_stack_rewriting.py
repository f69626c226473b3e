"""What is true in a pod becomes what is true on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stack.translate.addresses import ServiceMap
from stack.translate.configuration import rewrite_file
from stack.translate.rewriting import Rewriter

EVERYWHERE = "0.0.0.0"  # noqa: S104 - text to be replaced
SERVICES = ServiceMap(
    {
        ("midwatch", "midwatch-collector"): {4317: 21317, 4318: 21318},
        ("midwatch", "midwatch-ledger"): {80: 21080, 8088: 21088},
        ("demo", "appliance"): {8002: 21002},
    }
)


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def rewriter(problems: list[str]) -> Rewriter:
    return Rewriter(
        "midwatch-prometheus",
        "midwatch",
        {9090: 21090, 9095: 21095},
        {"/etc/midwatch/prometheus": Path("/here/etc"), "/tmp": Path("/here/tmp")},
        SERVICES,
        problems,
    )


@pytest.mark.parametrize(
    ("rendered", "local"),
    [
        ("midwatch-collector.midwatch.svc:4317", "127.0.0.1:21317"),
        ("midwatch-collector.midwatch.svc.cluster.local:4317", "127.0.0.1:21317"),
        ("midwatch-collector.midwatch:4317", "127.0.0.1:21317"),
        ("midwatch-collector:4317", "127.0.0.1:21317"),
        ("midwatch-collector-0.midwatch-collector.midwatch.svc:4317", "127.0.0.1:21317"),
        ("http://midwatch-ledger.midwatch.svc/alerts", "http://127.0.0.1:21080/alerts"),
        ("http://midwatch-ledger.midwatch.svc:8088/alerts", "http://127.0.0.1:21088/alerts"),
        ("http://appliance.demo.svc:8002", "http://127.0.0.1:21002"),
        ("postgresql://me@midwatch-ledger:8088/x", "postgresql://me@127.0.0.1:21088/x"),
        ("--web.listen-address=0.0.0.0:9090", "--web.listen-address=127.0.0.1:21090"),
        ("--web.listen-address=:9090", "--web.listen-address=127.0.0.1:21090"),
        ("[::]:9095", "127.0.0.1:21095"),
        ("http://localhost:9090/metrics", "http://127.0.0.1:21090/metrics"),
        (EVERYWHERE, "127.0.0.1"),
        ("--config=/etc/midwatch/prometheus/p.yml", "--config=/here/etc/p.yml"),
        ("sqlite:////tmp/x.db", "sqlite:////here/tmp/x.db"),
    ],
)
def test_every_form_of_an_address_or_path_becomes_local(
    rewriter: Rewriter, problems: list[str], rendered: str, local: str
) -> None:
    assert rewriter.text(rendered, "args") == local
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "midwatch-collector",
        "job=midwatch-ledger",
        "http://example.com:9090/tmp",
        "/tmpfile and /var/tmp/x",
        "127.0.0.1:4317 of somebody else",
        "my-midwatch-collector:4317",
        "midwatch-collector.midwatch.svcs.example.com:4317",
    ],
)
def test_what_only_looks_like_an_address_stays(
    rewriter: Rewriter, problems: list[str], text: str
) -> None:
    assert rewriter.text(text, "args") == text
    assert problems == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("http://other.midwatch.svc:80", "other.midwatch.svc:80"),
        ("midwatch-collector.midwatch.svc:9999", "it has 4317, 4318"),
        ("midwatch-collector.midwatch.svc", "names no port"),
        ("0.0.0.0:7777", "0.0.0.0:7777"),
        ("/var/lib/midwatch/tempo/wal", "/var/lib/midwatch/tempo/wal"),
    ],
)
def test_what_has_no_local_counterpart_is_refused_by_name(
    rewriter: Rewriter, problems: list[str], text: str, named: str
) -> None:
    rewriter.text(text, "argument x")
    assert problems
    assert "midwatch-prometheus, argument x" in problems[0]
    assert any(named in problem for problem in problems)


def test_integers_under_port_names_become_local_ports(rewriter: Rewriter) -> None:
    config = {"server": {"http_listen_port": 9090, "host": EVERYWHERE, "retries": 9090}}
    assert rewriter.tree(config, "c") == {
        "server": {"http_listen_port": 21090, "host": "127.0.0.1", "retries": 9090}
    }


def test_a_listen_port_that_is_no_container_port_is_refused(
    rewriter: Rewriter, problems: list[str]
) -> None:
    rewriter.tree({"grpc_listen_port": 1234, "peer_port": 1234}, "tempo.yaml")
    assert len(problems) == 1
    assert "tempo.yaml.grpc_listen_port" in problems[0]
    assert "1234" in problems[0]


def test_settings_files_are_rewritten_line_by_line(rewriter: Rewriter) -> None:
    ini = "[server]\nhttp_addr = 0.0.0.0\nhttp_port = 9090\n; kept\nhome = /tmp/x\n"
    assert rewrite_file("grafana.ini", ini, rewriter) == (
        "[server]\nhttp_addr = 127.0.0.1\nhttp_port = 21090\n; kept\nhome = /here/tmp/x\n"
    )


def test_a_file_without_anything_to_replace_stays_as_it_is(rewriter: Rewriter) -> None:
    text = "# a comment\ngroups: [ {name: x,   rules: []} ]\n"
    assert rewrite_file("rules.yaml", text, rewriter) == text


def test_templates_are_taken_verbatim(rewriter: Rewriter, problems: list[str]) -> None:
    text = '{{ define "x" }}see http://anything.midwatch.svc:1/tmp{{ end }}'
    assert rewrite_file("slack.tmpl", text, rewriter) == text
    assert problems == []


def test_yaml_means_the_same_to_go_programs_before_and_after(rewriter: Rewriter) -> None:
    text = 'a: on\nb: 12:30\nc: 2026-11-21\nd: "0123"\ne: 010\nf: 5s\ng: midwatch-ledger:8088\n'
    rewritten = rewrite_file("x.yaml", text, rewriter)
    assert yaml.safe_load(rewritten) == {
        "a": "on",
        "b": "12:30",
        "c": "2026-11-21",
        "d": "0123",
        "e": 8,
        "f": "5s",
        "g": "127.0.0.1:21088",
    }


_scalars = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
_documents = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(document=_documents)
def test_structure_without_addresses_survives_rewriting(document: object) -> None:
    rewriter = Rewriter("x", "midwatch", {}, {}, ServiceMap({}), [])
    rewritten = rewriter.tree(document, "f")
    again = Rewriter("x", "midwatch", {}, {}, ServiceMap({}), []).tree(rewritten, "f")
    assert again == rewritten
    assert type(rewritten) is type(document)


@given(
    before=st.text(alphabet=" ='\"(,@/", max_size=3),
    after=st.sampled_from(["", " ", "/x", ",", '"']),
)
def test_an_address_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    rewriter = Rewriter("x", "midwatch", {}, {}, SERVICES, [])
    text = f"{before}midwatch-collector.midwatch.svc:4318{after}"
    assert rewriter.text(text, "args") == f"{before}127.0.0.1:21318{after}"
