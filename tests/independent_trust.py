"""Trust anchors, and what replaces them (docs/format.md, section 6), with nothing of ours.

What is decided here is compared with the golden vectors and with our command, on anchors that it
made: thresholds of both anchors, one key that signs twice, hybrid keys, keys that were revoked.
"""

import hashlib
import itertools
import json
import subprocess

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from independent_signatures import ED25519, ESP256, ML_DSA_44, has_lattices, mldsa

CONTEXT = b"fwdelta/trust/v1"
TRUST_JUMP_MAX, ENDORSEMENT_COUNT_MAX = 1024, 32
THRESHOLD, BAD_SIGNATURE, ROLLBACK, JUMP = 402, 403, 503, 504


def sha256(data):
    return hashlib.sha256(data).digest()


class Key:
    """An algorithm with the raw bytes of a key."""

    def __init__(self, number, raw):
        self.number, self.raw, self.kid = number, raw, sha256(raw)[:8]

    def verifies(self, signature, message):
        try:
            if self.number == ED25519:
                ed25519.Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
            elif self.number == ESP256:
                key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.raw)
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
            else:
                mldsa.MLDSA44PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Trust:
    """A bare anchor. What is not one raises."""

    def __init__(self, data):
        content = cbor2.loads(data)
        assert list(content) == [0, 1, 2, 3, 4] and content[0] == 1
        assert cbor2.dumps(content, canonical=True) == data
        self.version = content[1]
        self.threshold, keys = content[2]
        # Each a list of the key and, of a hybrid one, its companion.
        self.vendors = [[Key(*key[at : at + 2]) for at in range(0, len(key), 2)] for key in keys]
        self.policy = content[4]
        assert 1 <= self.threshold <= len(self.vendors)
        listed = [key.raw for keys in self.vendors for key in keys]
        listed += {bytes(key[1]) for operator in content[3] for key in operator[1] + operator[4]}
        assert len(set(listed)) == len(listed), "a key in two roles"


def header_of(block):
    """The protected header of a COSE_Sign1, and its signature."""
    assert block.tag == 18 and len(block.value) == 4
    protected, unprotected, payload, signature = block.value
    header = cbor2.loads(protected)
    assert unprotected == {} and payload is None and set(header) == {1, 4}
    assert header[1] in (ED25519, ESP256, ML_DSA_44)
    return protected, header, signature


def signed_count(anchor, blocks, trust):
    """How many vendor keys of `trust` signed `anchor`, and whether one of them signed wrongly."""
    payload = cbor2.dumps([-16, sha256(cbor2.dumps(anchor))])
    wrong = False

    def signed(key):
        nonlocal wrong
        for protected, header, signature in blocks:
            if header[4] != key.kid:
                continue
            message = cbor2.dumps(["Signature1", protected, CONTEXT, payload])
            if header[1] == key.number and key.verifies(signature, message):
                return True
            wrong = True
        return False

    # A list, not a generator: every key is asked.
    counted = [all([signed(half) for half in key]) for key in trust.vendors]
    return sum(counted), wrong


def follows(current, data):
    """What a device with the anchor `current` makes of `data`: 0 to accept it, or the detail."""
    anchor, *blocks = cbor2.loads(data)
    assert cbor2.dumps([anchor, *blocks]) == data and len(blocks) <= ENDORSEMENT_COUNT_MAX
    blocks = [header_of(cbor2.loads(block)) for block in blocks]

    def lacks(trust):
        count, wrong = signed_count(anchor, blocks, trust)
        return 0 if count >= trust.threshold else BAD_SIGNATURE if wrong else THRESHOLD

    refusal = lacks(current)
    if refusal:
        return refusal
    new = Trust(anchor)
    refusal = lacks(new)
    if refusal:
        return refusal
    ahead = new.version - current.version
    return ROLLBACK if ahead < 1 else JUMP if ahead > TRUST_JUMP_MAX else 0


def vendors_signed(package, trust):
    """Whether the vendor blocks of a package reach the threshold (section 5.1)."""
    requirement = -70004
    found = []
    for block in package.blocks:
        header = cbor2.loads(block.value[0])
        if requirement in header:
            found.append((block.value[0], header, block.value[3]))

    def signed(key):
        for protected, header, signature in found:
            message = cbor2.dumps(["Signature1", protected, b"", package.payload])
            if header[4] == key.kid:
                return header[1] == key.number and key.verifies(signature, message)
        return False

    return sum(all([signed(half) for half in key]) for key in trust.vendors) >= trust.threshold


def detail(command, *arguments):
    """The detail of our command's refusal, 0 if there is none."""
    run = subprocess.run([command, "--json", *map(str, arguments)], capture_output=True)
    report = json.loads(run.stdout)
    return 0 if report["ok"] else report["error"]["detail"]


def check_vectors(vectors, check):
    """Every anchor of the golden vectors."""
    current = Trust((vectors / "rotation-current.cbor").read_bytes())
    rows = [line.split("\t") for line in (vectors / "rotations.tsv").read_text().split("\n")]
    for name, expect in (row for row in rows[1:] if len(row) == 2):
        expect = int(expect)
        try:
            found = follows(current, (vectors / f"rotation-{name}.cbor").read_bytes())
        except (AssertionError, TypeError, ValueError, KeyError, cbor2.CBORDecodeError):
            # Of what is malformed there are many ways to say so.
            found = expect if expect < 400 and expect != 0 else "malformed"
        check(f"anchor {name}: {expect}", found == expect)


def check_rotations(command, run, work, check):
    """Anchors that our command made, signed by every subset of five keys."""
    for name in "abcde":
        run("keygen", "--algorithm", "esp256" if name in "bd" else "ed25519", "--out", work / name)

    def anchor(name, version, threshold, keys):
        listed = ", ".join(f'"{key}.pub"' for key in keys)
        text = f"version = {version}\n[vendor]\nthreshold = {threshold}\nkeys = [{listed}]\n"
        (work / f"{name}.toml").write_text(text)
        run("trust", "compile", work / f"{name}.toml", "-o", work / f"{name}.cbor")
        return Trust((work / f"{name}.cbor").read_bytes())

    old = anchor("old", 1, 2, "abc")
    anchor("new", 2, 2, "cde")
    signed = work / "signed.cbor"
    for count in range(1, 6):
        for names in itertools.combinations("abcde", count):
            keys = [word for name in names for word in ("--key", work / f"{name}.key")]
            run("trust", "rotate", work / "new.cbor", "--current", work / "old.cbor", *keys,
                "-o", signed)
            ours = detail(command, "trust", "accept", signed, "--current", work / "old.cbor",
                          "-o", work / "accepted.cbor")
            theirs = follows(old, signed.read_bytes())
            enough = len(set(names) & set("abc")) >= 2 and len(set(names) & set("cde")) >= 2
            name = f"anchor signed by {' '.join(names)}"
            check(f"{name}: {theirs}", ours == theirs == (0 if enough else THRESHOLD))
    changed = bytearray(signed.read_bytes())
    changed[-1] ^= 1
    signed.write_bytes(changed)
    # Four right signatures are enough on both sides, whatever the fifth is.
    check("anchor with one wrong signature beside enough", follows(old, bytes(changed)) == 0)


def check_revocation(read, command, run, work, image, check):
    """What a revoked key signed is believed under the old anchor only."""
    package = work / "revoked.suit"
    keys = ["--key", work / "a.key", "--key", work / "b.key"]
    run("build", "--new", image, "--sequence", "7", *keys, "-o", package)
    for name, expected in [("old", 0), ("new", THRESHOLD)]:
        trust = Trust((work / f"{name}.cbor").read_bytes())
        ours = detail(command, "verify", package, "--trust", work / f"{name}.cbor")
        theirs = 0 if vendors_signed(read(package.read_bytes()), trust) else THRESHOLD
        check(f"package by revoked keys, {name} anchor", ours == theirs == expected)


def check_hybrid(command, run, work, check):
    """A hybrid key endorses with both of its halves, or not at all."""
    if not has_lattices():
        print("SKIPPED: hybrid anchors: this version of the Python module `cryptography` lacks it")
        return
    run("keygen", "--algorithm", "ml-dsa-44", "--out", work / "lattice")
    for name, version in [("hybrid-old", 1), ("hybrid-new", 2)]:
        (work / f"{name}.toml").write_text(
            f"version = {version}\n[vendor]\n"
            'keys = [{ key = "a.pub", hybrid = "lattice.pub" }]\n'
        )
        run("trust", "compile", work / f"{name}.toml", "-o", work / f"{name}.cbor")
    old = Trust((work / "hybrid-old.cbor").read_bytes())
    for names, expected in [(["a"], THRESHOLD), (["lattice"], THRESHOLD), (["a", "lattice"], 0)]:
        keys = [word for name in names for word in ("--key", work / f"{name}.key")]
        signed = work / "signed.cbor"
        run("trust", "rotate", work / "hybrid-new.cbor", "--current", work / "hybrid-old.cbor",
            *keys, "-o", signed)
        ours = detail(command, "trust", "accept", signed, "--current", work / "hybrid-old.cbor",
                      "-o", work / "accepted.cbor")
        theirs = follows(old, signed.read_bytes())
        check(f"hybrid anchor signed by {' and '.join(names)}", ours == theirs == expected)


def check_trust(read, command, run, work, image, vectors, check):
    """All of it."""
    check_vectors(vectors, check)
    check_rotations(command, run, work, check)
    check_revocation(read, command, run, work, image, check)
    check_hybrid(command, run, work, check)
