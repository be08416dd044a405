"""What is sent to OPA is the facts, however often a part of them was written before."""

from __future__ import annotations

import json
from dataclasses import replace

from sidecar.core.facts import to_input
from sidecar.opa.question import FactsWriter, one, several, whole
from tests.process.policies.samples import sample_adaptation, sample_facts


def test_what_is_written_is_the_facts() -> None:
    writer = FactsWriter(most=2)
    strange = replace(sample_adaptation(), declarations={'"\u2028': "\\\x00é"})
    for facts in (
        sample_facts(),
        sample_facts(nonce='"}', now='"'),
        sample_facts(adaptations=(strange, sample_adaptation())),
        sample_facts(adaptations=()),
        sample_facts(),
    ):
        text = whole(writer.stem(facts), facts.now, facts.nonce)
        expected = json.loads(json.dumps(to_input(facts)))
        assert json.loads(one(text)) == {"input": expected}
        assert list(json.loads(text)) == list(expected)
        asked = several([("n-1", text), ('"', text)])
        assert json.loads(asked) == {"input": {"questions": {"n-1": expected, '"': expected}}}
    assert json.loads(several(())) == {"input": {"questions": {}}}


def test_questions_that_differ_in_time_and_nonce_alone_have_one_stem() -> None:
    writer, facts = FactsWriter(), sample_facts()
    assert writer.stem(facts) == writer.stem(replace(facts, now="later", nonce="other"))
    other = replace(facts, adaptations=(replace(facts.adaptations[0], method="other"),))
    assert writer.stem(facts) != writer.stem(other)
    request = replace(facts, request=replace(facts.request, stream=True))
    assert writer.stem(facts) != writer.stem(request)


def test_the_json_of_one_object_is_never_given_for_another() -> None:
    writer = FactsWriter(most=1)
    for number in range(200):  # objects that are gone leave their identity to others
        made = replace(sample_adaptation(), method=f"method-{number}")
        stem = writer.stem(sample_facts(adaptations=(made,)))
        assert f'"method-{number}"' in stem
