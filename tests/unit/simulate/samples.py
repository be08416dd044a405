"""A small history that is right; the tests break it in many ways."""

from __future__ import annotations

GOOD = """\
title: A small one
authorities:
  openai: {role: provider, base-models: ["openai/gpt-*"]}
  acme: {role: customer}
  acme-ml: {role: producer}
  lab: {role: evaluator}
  regulator: {role: regulator, jurisdictions: [eu]}
environments:
  prod: {by: acme, jurisdictions: [eu]}
setup:
  - bind: {by: acme-ml, manifest: support, corpora: [tickets]}
  - all-agree: support
questions:
  call: {environment: prod, model: support}
expect: admitted
steps:
  - withdraw: {by: regulator, corpus: tickets}
    expect: withdrawn
"""
