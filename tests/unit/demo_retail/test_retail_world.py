from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from retail_simulation.catalogue import PRODUCTS, STORES
from retail_simulation.effects import carry_out
from retail_simulation.engine import Engine
from retail_simulation.models import ALLOWED_ACTIONS, SPECIALISTS, AgentDecision, AgentName
from retail_simulation.triggers import TriggerDetector

SEEDS = st.integers(min_value=0, max_value=2**31)


@st.composite
def decisions(draw: st.DrawFn, agents: tuple[AgentName, ...] = SPECIALISTS) -> AgentDecision:
    agent = draw(st.sampled_from(agents))
    return AgentDecision(
        agent=agent,
        decision=draw(st.sampled_from(ALLOWED_ACTIONS[agent])),
        confidence=draw(st.floats(0, 1)),
        reason="drawn",
        percent=draw(st.integers(0, 50)),
        units=draw(st.integers(0, 1000)),
        days=draw(st.integers(0, 14)),
    )


STEPS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(STORES), st.sampled_from(PRODUCTS), decisions()), max_size=4
    ),
    min_size=1,
    max_size=12,
)


def assert_books_are_sound(engine: Engine) -> None:
    books = engine.books
    assert books.cash_cents == (
        books.opening_cash_cents
        + books.revenue_cents
        - books.purchases_cents
        - books.promotion_spend_cents
    )
    assert books.cash_cents >= 0
    assert engine.units_on_hand == (
        books.opening_units + books.units_delivered - books.units_sold - books.units_spoiled
    )
    for shelf in engine.shelves.values():
        assert all(batch.units > 0 for batch in shelf.batches)
        assert all(order.units > 0 for order in shelf.orders)
        floor, ceiling = shelf.product.floor_price_cents, shelf.product.ceiling_price_cents
        assert floor <= shelf.selling_price_cents <= shelf.price_cents <= ceiling


@given(SEEDS, STEPS)
@settings(max_examples=40, deadline=None)
def test_stock_is_never_negative_and_money_and_goods_are_conserved(seed, steps) -> None:
    engine = Engine(seed)
    for actions in steps:
        engine.advance()
        assert_books_are_sound(engine)
        for store, product, decision in actions:
            shelf = engine.shelf(store.store_id, product.product_id)
            carry_out(decision, shelf, engine)
            assert_books_are_sound(engine)


@given(SEEDS, STEPS)
@settings(max_examples=15, deadline=None)
def test_the_same_seed_and_the_same_actions_give_the_same_course(seed, steps) -> None:
    engines = Engine(seed), Engine(seed)
    for engine in engines:
        for actions in steps:
            engine.advance()
            for store, product, decision in actions:
                carry_out(decision, engine.shelf(store.store_id, product.product_id), engine)
    assert engines[0].summary() == engines[1].summary()


@given(SEEDS, STEPS)
@settings(max_examples=15, deadline=None)
def test_what_the_agents_do_never_changes_the_weather_or_the_competitors(seed, steps) -> None:
    touched, untouched = Engine(seed), Engine(seed)
    for actions in steps:
        assert touched.advance() == untouched.advance()
        for store, product, decision in actions:
            carry_out(decision, touched.shelf(store.store_id, product.product_id), touched)


def test_other_seeds_give_other_courses() -> None:
    courses = []
    for seed in range(5):
        engine = Engine(seed)
        for _ in range(5):
            engine.advance()
        courses.append(engine.books.revenue_cents)
    assert len(set(courses)) == len(courses)


def test_every_type_of_event_arises_within_some_weeks() -> None:
    seen: set[str] = set()
    for seed in range(3):
        engine, detector = Engine(seed), TriggerDetector(most_per_day=5)
        for _ in range(60):
            engine.advance()
            seen |= {str(event_type) for _, event_type, _ in detector.detect(engine)}
    assert seen == {
        "stockout_risk",
        "demand_surge",
        "competitor_price_drop",
        "expiring_stock",
        "slow_mover",
    }


@given(SEEDS, st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_no_day_has_more_events_than_allowed_and_each_has_a_severity(seed, most) -> None:
    engine, detector = Engine(seed), TriggerDetector(most)
    for _ in range(10):
        engine.advance()
        findings = detector.detect(engine)
        assert len(findings) <= most
        assert all(0 <= severity <= 1 for severity, _, _ in findings)
