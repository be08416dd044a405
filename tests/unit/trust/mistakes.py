"""Every mistake in ``trust.yaml`` that is told, with the whole line that tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.trust.operator import EVERYWHERE


def authority(value: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = value["authorities"][number]
    return found


def grant(value: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = authority(value, number)["grants"][0]
    return found


AUDITOR = {"role": "auditor", **EVERYWHERE}
Change = Callable[[dict[str, Any]], object]
FORM = "is not a name of the form ^[a-z0-9][a-z0-9-]{0,62}$"

MISTAKES: list[tuple[str, Change, str]] = [
    ("no version", lambda v: v.pop("version"), "version: is missing"),
    ("a later version", lambda v: v.update(version=2), "version: input should be 1"),
    ("no state", lambda v: v.pop("state"), "state: is missing"),
    ("no evidence", lambda v: v.pop("evidence"), "evidence: is missing"),
    (
        "an unknown key",
        lambda v: v.update(jurisdiction={}),
        "jurisdiction: is not a known key; did you mean 'jurisdictions'?",
    ),
    (
        "an unknown key inside",
        lambda v: grant(v).update(model=["x"]),
        "authorities.0.grants.0.model: is not a known key; did you mean 'models'?",
    ),
    (
        "an empty source",
        lambda v: authority(v).update(source={}),
        "authorities.0.source: has neither directory nor url; give exactly one",
    ),
    (
        "two sources",
        lambda v: v.update(evidence=[{"directory": "x", "url": "https://x.example"}]),
        "evidence.0: has both directory and url; give exactly one",
    ),
    *(
        (
            f"the url {url}",
            lambda v, url=url: authority(v).update(source=url),
            f"authorities.0.source.url: {url!r} is not https://HOST[:PORT]/PATH "
            "without user, query and fragment",
        )
        for url in (
            "http://x.example/acme",
            "ftp://x.example",
            "https://",
            "https://user@x.example",
            "https://x.example:0",
            "https://x.example:99999",
            "https://x.example/a?b",
            "https://x.example/a#b",
            "https://x.example/a b",
        )
    ),
    (
        "an option that a folder has not",
        lambda v: authority(v)["source"].update(ca="ca.pem"),
        "authorities.0.source.ca: only a url has it; leave it out",
    ),
    *(
        (
            f"the url {url}",
            lambda v, url=url: authority(v).update(source=url),
            f"authorities.0.source.url: {shown} is not tls://HOST[:PORT][,HOST[:PORT]]/BUCKET"
            "[/FOLDER] without user, query and fragment",
        )
        for url, shown in (
            ("tls://nats.example", "'tls://nats.example'"),
            ("nats://:4222/trust/acme", "'nats://:4222/trust/acme'"),
            ("tls://a.example,/trust/acme", "'tls://a.example,/trust/acme'"),
            ("tls://a.example:0/trust", "'tls://a.example:0/trust'"),
            ("tls://a.example/trust/a.b", "'tls://a.example/trust/a.b'"),
            ("tls://a.example/trust/*", "'tls://a.example/trust/*'"),
            ("tls://me:secret@a.example/trust", "the URL, which names a user,"),
        )
    ),
    (
        "an option that NATS has not",
        lambda v: authority(v).update(source={"url": "tls://a/b", "bearer_file": "token"}),
        "authorities.0.source.bearer_file: only a url of HTTPS has it; leave it out",
    ),
    (
        "an option that HTTPS has not",
        lambda v: authority(v).update(source={"url": "https://a/b", "nkey_file": "nkey"}),
        "authorities.0.source.nkey_file: only a url of NATS has it; leave it out",
    ),
    (
        "a password that would be sent in clear",
        lambda v: authority(v).update(source={"url": "nats://a/b", "user_file": "user"}),
        "authorities.0.source: a password needs TLS; give tls:// instead of nats://",
    ),
    (
        "a CA without TLS",
        lambda v: authority(v).update(source={"url": "nats://a/b", "ca": "ca.pem"}),
        "authorities.0.source: certificates need TLS; give tls:// instead of nats://",
    ),
    (
        "two logins",
        lambda v: authority(v).update(
            source={"url": "tls://a/b", "user_file": "user", "nkey_file": "nkey"}
        ),
        "authorities.0.source: has several logins; give one of a .creds file, an NKey and a user",
    ),
    (
        "a certificate without its key",
        lambda v: authority(v).update(
            source={"url": "https://x.example", "client_certificate": "x"}
        ),
        "authorities.0.source: client_certificate and client_key go together; give both",
    ),
    (
        "a proxy with TLS",
        lambda v: authority(v).update(
            source={"url": "https://x.example", "proxy": "https://user:secret@proxy.example"}
        ),
        "authorities.0.source.proxy: is neither http://[USER:PASSWORD@]HOST:PORT nor 'environment'",
    ),
    (
        "empty evidence",
        lambda v: v.update(evidence=[]),
        "evidence: is empty; write out what holds, '**' means all",
    ),
    (
        "empty authorities",
        lambda v: v.update(authorities=[]),
        "authorities: is empty; write out what holds, '**' means all",
    ),
    (
        "empty grants",
        lambda v: authority(v).update(grants=[]),
        "authorities.0.grants: is empty; write out what holds, '**' means all",
    ),
    *(
        (
            f"empty {name}",
            lambda v, name=name: grant(v).update({name: []}),
            f"authorities.0.grants.0.{name}: is empty; write out what holds, '**' means all",
        )
        for name in ("jurisdictions", "sectors", "models", "environments", "trust_domains")
    ),
    *(
        (
            f"no {name}",
            lambda v, name=name: grant(v).pop(name),
            f"authorities.0.grants.0.{name}: is missing",
        )
        for name in ("role", "jurisdictions", "sectors", "models", "environments")
    ),
    (
        "an empty pattern",
        lambda v: grant(v).update(models=[""]),
        "authorities.0.grants.0.models.0: is empty; write out what holds, '**' means all",
    ),
    (
        "a country that YAML takes for a truth value",
        lambda v: grant(v).update(jurisdictions=[False]),
        "authorities.0.grants.0.jurisdictions.0: must be text; put it in quotes",
    ),
    (
        "a number for truth",
        lambda v: grant(v, 1).update(of_record=1),
        "authorities.1.grants.0.of_record: input should be a valid boolean",
    ),
    (
        "empty required roles",
        lambda v: v.update(required_roles=[]),
        "required_roles: is empty; write out what holds, '**' means all",
    ),
    (
        "empty roles of a jurisdiction",
        lambda v: v.update(jurisdictions={"eu": {"required_roles": []}}),
        "jurisdictions.eu.required_roles: is empty; write out what holds, '**' means all",
    ),
    (
        "a name that is no file name",
        lambda v: authority(v).update(name="../acme"),
        f"authorities.0.name: '../acme' {FORM}",
    ),
    (
        "a name with a line break",
        lambda v: authority(v).update(name="acme\n"),
        f"authorities.0.name: 'acme\\n' {FORM}",
    ),
    (
        "a trust domain that is none",
        lambda v: grant(v).update(trust_domains=["spiffe://acme.example"]),
        "authorities.0.grants.0.trust_domains.0: 'spiffe://acme.example' "
        "is not a name of the form ^[a-z0-9._-]{1,255}$",
    ),
    (
        "polling that never happens",
        lambda v: v.update(poll_seconds=0),
        "poll_seconds: input should be greater than or equal to 0.05",
    ),
    (
        "polling at no time",
        lambda v: v.update(poll_seconds=float("nan")),
        "poll_seconds: input should be a finite number",
    ),
    (
        "one name twice",
        lambda v: authority(v, 1).update(name="acme"),
        "authorities: 'acme' is given twice",
    ),
    (
        "one folder of evidence twice",
        lambda v: v.update(evidence=["a", "b", "a"]),
        "evidence: 'a' is given twice",
    ),
    (
        "base models of a customer",
        lambda v: grant(v).update(base_models=["x"]),
        "authorities.0.grants.0.base_models: only the role 'provider' has it; "
        "move it or leave it out",
    ),
    (
        "a regulator of record",
        lambda v: grant(v, 2).update(of_record=True),
        "authorities.2.grants.0.of_record: only the role 'provider' has it; "
        "move it or leave it out",
    ),
    (
        "trust domains of a regulator",
        lambda v: grant(v, 2).update(trust_domains=["x.example"]),
        "authorities.2.grants.0.trust_domains: only the role 'customer' has it; "
        "move it or leave it out",
    ),
    (
        "a trust domain of two",
        lambda v: authority(v, 2)["grants"].append(dict(grant(v))),
        "authorities: the trust domain acme.example is granted to both acme and office; "
        "one authority answers for a trust domain",
    ),
    *(
        (
            f"no {role}",
            lambda v, number=number: authority(v, number).update(grants=[AUDITOR]),
            f"authorities: none is granted the role {role!r}, which is required; "
            "nothing could ever be admitted",
        )
        for number, role in enumerate(("customer", "provider", "regulator"))
    ),
    (
        "a required role of nobody",
        lambda v: v.update(required_roles=["auditor"]),
        "authorities: none is granted the role 'auditor', which is required; "
        "nothing could ever be admitted",
    ),
    (
        "a silence that is unknown",
        lambda v: grant(v).update(silence="allows"),
        "authorities.0.grants.0.silence: input should be 'denies' or 'ignored'",
    ),
    (
        "no floors",
        lambda v: v.update(floors=[]),
        "floors: is empty; write out what holds, '**' means all",
    ),
    (
        "a floor of no environment",
        lambda v: v.update(floors=[{"jurisdictions": ["eu"]}]),
        "floors.0.environments: is missing",
    ),
    (
        "a floor that requires nothing",
        lambda v: v.update(floors=[{"environments": ["**"]}]),
        "floors.0: requires nothing; give it jurisdictions, a sector or roles",
    ),
    (
        "a floor with an empty list",
        lambda v: v.update(floors=[{"environments": ["**"], "jurisdictions": []}]),
        "floors.0.jurisdictions: is empty; write out what holds, '**' means all",
    ),
    (
        "a floor with a pattern of jurisdictions",
        lambda v: v.update(floors=[{"environments": ["**"], "jurisdictions": ["e*"]}]),
        "floors.0.jurisdictions: 'e*' is a pattern; a floor names its jurisdictions",
    ),
    (
        "a floor with a pattern of sectors",
        lambda v: v.update(floors=[{"environments": ["**"], "sector": "**"}]),
        "floors.0.sector: '**' is a pattern; a floor names its sector",
    ),
    (
        "a floor's role of nobody",
        lambda v: v.update(floors=[{"environments": ["**"], "roles": ["auditor"]}]),
        "authorities: none is granted the role 'auditor', which is required; "
        "nothing could ever be admitted",
    ),
    (
        "a floor's jurisdiction without a regulator",
        lambda v: (
            grant(v, 2).update(jurisdictions=["eu"]),
            v.update(floors=[{"environments": ["**"], "jurisdictions": ["eu", "us"]}]),
        ),
        "floors.0.jurisdictions: no authority is granted the role 'regulator' for 'us'; "
        "nothing could be admitted there",
    ),
    (
        "two floors of one pattern and two sectors",
        lambda v: v.update(
            floors=[
                {"environments": ["spiffe://acme.example/a", "**"], "sector": "finance"},
                {"environments": ["**"], "sector": "health"},
            ]
        ),
        "floors.1.sector: 'health', but floors.0 requires 'finance' of ** too; "
        "no environment can meet both",
    ),
    (
        "requirements of a misspelt jurisdiction",
        lambda v: (
            grant(v, 2).update(jurisdictions=["eu"]),
            v.update(jurisdictions={"EU": {"required_roles": ["customer"]}}),
        ),
        "jurisdictions.EU: no authority is granted the role 'regulator' for 'EU'; "
        "nothing could be admitted there",
    ),
    *(
        (
            f"a floor of environments that there are not: {pattern}",
            lambda v, pattern=pattern: v.update(
                floors=[
                    {"environments": ["spiffe://acme.*/prod"], "jurisdictions": ["eu"]},
                    {"environments": [pattern], "jurisdictions": ["eu"]},
                ]
            ),
            f"floors.1.environments: {pattern!r} matches no environment: trust domains are granted "
            "for acme.example; correct it or grant its",
        )
        for pattern in (
            "spiffe://acme.exmple/**",
            "acme.example/**",
            "spiffe://acme.example.org/x",
            "spiffe://acme.example",
            "*",
        )
    ),
    *(
        (
            f"a grant for environments that there are not: {pattern}",
            lambda v, pattern=pattern: grant(v, 2).update(environments=["**/prod", pattern]),
            f"authorities.2.grants.0.environments: {pattern!r} matches no environment: trust "
            "domains are granted for acme.example; correct it or grant its",
        )
        for pattern in ("spiffe://acme.exmple/**", "spiffe://*.exmple/env/**", "env/prod")
    ),
    *(
        (
            f"a grant of another name of a model: {written}",
            lambda v, written=written, key=key: grant(v, 1).update({key: ["openai/**", written]}),
            f"authorities.1.grants.0.{key}: {written!r} is {called!r} to calls; list that",
        )
        for key, written, called in (
            ("models", "vertex/gemini-2.5-*", "vertex/publishers/google/models/gemini-2.5-*"),
            (
                "base_models",
                "bedrock/arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0",
                "bedrock/amazon.nova-lite-v1:0",
            ),
        )
    ),
    (
        "a jurisdiction's role of nobody",
        lambda v: v.update(jurisdictions={"eu": {"required_roles": ["auditor"]}}),
        "authorities: none is granted the role 'auditor', which is required; "
        "nothing could ever be admitted",
    ),
]
