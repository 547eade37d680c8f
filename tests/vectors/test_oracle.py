# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The tests' own suite 3 against the vectors of it, so that what it opens in recordings is worth
# something; and the runner itself: what must never count as passed.

import json
import os

import harness
import oracle
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


def vectors():
    with open(os.path.join(HERE, "vl1.json")) as f:
        return json.load(f)


def unhex(s):
    return bytes.fromhex(s)


needs_aes = pytest.mark.skipif(not oracle.available(), reason="pycryptodome is not installed")


@needs_aes
def test_the_oracle_derives_the_keys_of_the_vectors():
    for c in vectors()["kbkdf_hmac_sha384"]:
        assert oracle.kbkdf(
            unhex(c["key"]), c["label"].encode(), c["context"], c["iteration"]
        ) == unhex(c["out"])


@needs_aes
def test_the_oracle_reproduces_the_cipher():
    for c in vectors()["aes_gmac_siv"]:
        k0, k1, aad = unhex(c["k0"]), unhex(c["k1"]), unhex(c["aad"])
        tag, sealed = oracle.siv_encrypt(k0, k1, unhex(c["iv"]), aad, unhex(c["plaintext"]))
        assert (tag.hex(), sealed.hex()) == (c["tag"], c["ciphertext"])
        assert oracle.siv_decrypt(k0, k1, tag, aad, sealed) == unhex(c["plaintext"])
        assert oracle.siv_decrypt(k0, k1, tag, b"\x01" + aad, sealed) is None


@needs_aes
def test_the_oracle_opens_the_packets():
    opened = 0
    for c in vectors()["packets"]:
        if c["suite"] == 3:
            for data in (c["armored"], c["armored_hops2"]):
                assert oracle.opened(unhex(c["key"]), unhex(data)) == unhex(
                    c["plain_verb_and_payload"]
                )
                opened += 1
    assert opened


def run_source(tmp_path, document):
    path = tmp_path / "some.json"
    path.write_text(json.dumps(document))
    source = harness.Source(str(path))
    results = {group: source.check(group) for group in source.groups()}
    return source, results


def test_an_unknown_group_is_not_built(tmp_path):
    source, results = run_source(tmp_path, {"format": "zt-vl1-test-vectors", "quantum": [1, 2, 3]})
    assert results == {"quantum": None}
    assert source.closing_line().endswith(": 0 passed, 0 failed, 3 not built: quantum")


def test_a_wrong_answer_fails_and_is_named(tmp_path):
    case = {"key": "00" * 32, "message": "", "tag": "01" + "00" * 15}
    source, results = run_source(tmp_path, {"format": "zt-vl1-test-vectors", "poly1305": [case]})
    assert len(results["poly1305"]) == 1 and "tag" in results["poly1305"][0]
    assert source.closing_line().endswith(": 0 passed, 1 failed, 0 not built: ")


def test_every_group_of_the_built_in_files_fails_when_its_answers_are_spoilt():
    # A checker that passes whatever the file says would be worse than none: of some forty strings
    # and truth values of a group, spoilt one after the other, at least one must make it fail.
    for name in ("vl1.json", "vl2.json"):
        with open(os.path.join(HERE, name)) as f:
            document = json.load(f)
        for group, cases in document.items():
            checker = harness.find(group, document) if isinstance(cases, (list, dict)) else None
            # Slow ones; and those whose strings are all questions, not answers.
            skipped = (
                "memory_hard_hash",
                "identities",
                "identity_checks",
                "config_error",
                "multicast_like",
                "multicast_gather_reply",
            )
            if checker is None or group in skipped:
                continue
            assert noticed(checker, group, cases, document), "%s: %s" % (name, group)


def noticed(checker, group, cases, document):
    spoilt = json.loads(json.dumps(cases))
    leaves = list(answers(spoilt))
    for holder, key in leaves[:: max(1, len(leaves) // 40)]:
        old = holder[key]
        holder[key] = (
            (not old) if isinstance(old, bool) else old[:-1] + ("0" if old[-1] == "f" else "f")
        )
        try:
            results = list(checker(spoilt, dict(document, **{group: spoilt})))
        except Exception:
            return True
        holder[key] = old
        if any(r is not None and not isinstance(r, harness.NotBuilt) for _, r in results):
            return True
    return False


def answers(value):
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, v in items:
        if isinstance(v, bool) or (
            isinstance(v, str) and v and key not in ("name", "note", "why", "step")
        ):
            yield value, key
        else:
            yield from answers(v)
