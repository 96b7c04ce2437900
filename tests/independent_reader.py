#!/usr/bin/env python3
"""Reads packages with nothing of ours: cbor2 for CBOR, `cryptography` for signatures.

Environment: FWDELTA names the command that makes the packages, FWDELTA_TESTDATA the test data.
Follows docs/format.md, not the code. Prints one line per check and a summary; exits 1 on failure.
"""

import hashlib
import hmac
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cbor2
import independent_delta
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from independent_demands import check_demands
from independent_encryption import check_encryption
from independent_signatures import check_algorithms, has_lattices, public_key, verifies
from independent_trust import check_trust

STRING, PLMN, MODE, REQUIREMENT, PROMPTS = -70001, -70002, -70003, -70004, -70005
SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")

passed = failed = 0


# How packages are built: profile and options.
WAYS = [
    ["plain"],
    ["small"],
    ["plain", "--in-place", "--page", "2K", "--spare", "2", "--order", "descending"],
    ["plain", "--in-place", "--page", "4K", "--spare", "4", "--interval", "2"],
    ["plain", "--geometry", "flash.toml"],
]
# Sectors of several lengths.
FLASH = """
page = "8K"
spare = 1
[[first]]
len = "1K"
count = 4
[[first]]
len = 4096
"""


def check(name, holds):
    global passed, failed
    print(f"test {name} ... {'ok' if holds else 'FAILED'}")
    passed, failed = passed + bool(holds), failed + (not holds)


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(data):
    """Whether re-encoding in deterministic form gives the same bytes."""
    return cbor2.dumps(cbor2.loads(data), canonical=True) == data


class Package:
    """An envelope, decoded as docs/format.md, section 3, says."""

    def __init__(self, data):
        tag = cbor2.loads(data)
        assert tag.tag == 107, "SUIT envelope tag"
        self.envelope = tag.value
        auth = cbor2.loads(self.envelope[2])
        self.payload = auth[0]
        self.digest = cbor2.loads(auth[0])
        self.blocks = [cbor2.loads(block) for block in auth[1:]]
        self.manifest = cbor2.loads(self.envelope[3])
        self.common = cbor2.loads(self.manifest[3])
        self.components = self.common[2]
        self.parameters = self._parameters()

    def _parameters(self):
        """Digest and size of every component, from the shared sequence."""
        sequence = cbor2.loads(self.common[4])
        found, index = {}, 0
        for command, argument in zip(sequence[::2], sequence[1::2]):
            if command == 12:
                index = argument
            elif command == 20 and 3 in argument:
                algorithm, digest = cbor2.loads(argument[3])
                assert algorithm == -16
                found[index] = (digest, argument[14])
        return found

    def uris(self):
        """What is fetched for which component, from the install sequence."""
        sequence = cbor2.loads(self.manifest[20])
        found, index, uri = {}, 0, None
        for command, argument in zip(sequence[::2], sequence[1::2]):
            if command == 12:
                index = argument
            elif command == 20:
                uri = argument.get(21, uri)
            elif command == 21:
                found[index] = uri
        return found

    def manifest_digest(self):
        return sha256(cbor2.dumps(self.envelope[3]))

    def block_of(self, wanted):
        """The block whose protected header satisfies `wanted`, with that header."""
        for block in self.blocks:
            header = cbor2.loads(block.value[0])
            if wanted(header):
                return block, header
        raise AssertionError("no such block")


def mac_verifies(package, block, string, plmn):
    """COSE_Mac0 under the key derived from the SIM's string."""
    protected, unprotected, payload, tag = block.value
    assert block.tag == 17 and unprotected == {} and payload is None
    info = b"fwdelta/approval/v1" + plmn.encode()
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(string)
    message = cbor2.dumps(["MAC0", protected, b"", package.payload])
    return hmac.compare_digest(hmac.new(key, message, hashlib.sha256).digest(), tag)


def chain_holds(header, payload):
    """Every chunk record matches the hash before it (docs/format-delta.md)."""
    chunk_len, expected = header[8]
    pos, record_len = 0, chunk_len + 32
    while True:
        left = len(payload) - pos
        record = payload[pos : pos + (record_len if left > chunk_len else left)]
        if sha256(record) != expected:
            return False
        pos += len(record)
        if pos == len(payload):
            return True
        expected = record[-32:]


def check_package(name, data, old, new, keys):
    package = Package(data)
    check(f"{name}: envelope is deterministic CBOR", canonical(data))
    check(f"{name}: manifest is deterministic CBOR", canonical(package.envelope[3]))
    check(f"{name}: digest algorithm is SHA-256", package.digest[0] == -16)
    check(f"{name}: manifest digest", package.manifest_digest() == package.digest[1])
    check(f"{name}: sequence number", package.manifest[2] == 7)
    roles = [[part.decode() for part in component] for component in package.components]
    expected = [["main", "old"], ["main", "dhdr"], ["main", "delta"], ["main", "new"], ["prompts"]]
    check(f"{name}: components", roles == expected)
    images = {0: old, 3: new}
    for index, image in images.items():
        stated = package.parameters[index]
        check(f"{name}: image {index}", stated == (sha256(image), len(image)))
    uris = package.uris()
    check(f"{name}: references", uris == {1: "#h0", 2: "#payload0", 4: "#p"})
    for index, uri in uris.items():
        payload = package.envelope[uri]
        check(f"{name}: {uri}", package.parameters[index] == (sha256(payload), len(payload)))
    text = package.envelope[23]
    check(f"{name}: text", package.manifest[23] == [-16, sha256(cbor2.dumps(text))])
    check(f"{name}: text is a map of languages", "en" in cbor2.loads(text))
    prompts = cbor2.loads(package.envelope["#p"])
    check(f"{name}: four prompts", set(prompts["en"]) == {1, 2, 3, 4})
    header = cbor2.loads(package.envelope["#h0"])
    stated = (header[2], header[3], header[4], header[5])
    check(f"{name}: header", stated == (len(old), sha256(old), len(new), sha256(new)))
    check(f"{name}: hash chain", chain_holds(header, package.envelope["#payload0"]))
    if " plain" in name:
        decoded = independent_delta.decode(header, package.envelope["#payload0"], old)
        check(f"{name}: delta", decoded == new)
    check_blocks(name, package, keys)
    return package


def check_blocks(name, package, keys):
    key, raw = keys["vendor"]
    block, header = package.block_of(lambda header: REQUIREMENT in header)
    check(f"{name}: vendor algorithm", header[1] == -19)
    check(f"{name}: vendor key id", header[4] == sha256(raw)[:8])
    check(f"{name}: vendor requires any operator", header[REQUIREMENT] == [])
    check(f"{name}: vendor signature", verifies(package, block, key))
    check(f"{name}: not by another key", not verifies(package, block, keys["signed"][0]))
    for mode, number, plmn in [("signed", 3, "26201"), ("string", 1, "310410")]:
        key, raw = keys[mode]
        block, header = package.block_of(lambda header: header.get(PLMN) == plmn)
        said = (header[MODE], header[4])
        check(f"{name}: {mode} approval header", said == (number, sha256(raw)[:8]))
        check(f"{name}: {mode} approval signature", verifies(package, block, key))
    check(f"{name}: clear string", header[STRING] == SECRET)
    block, header = package.block_of(lambda header: header.get(MODE) == 2)
    check(f"{name}: secret approval", mac_verifies(package, block, SECRET, "20801"))
    check(f"{name}: not under another string", not mac_verifies(package, block, bytes(16), "20801"))
    check(f"{name}: the secret is not in the package", STRING not in header)


def device_ids(package):
    """Vendor and class, from the shared sequence."""
    parameters = cbor2.loads(package.common[4])[1]
    return parameters[1], parameters[2]


def check_index(data, package, keys):
    """An index of one package (docs/format-index.md), by the reader of packages."""
    index, listed = Package(data), Package(package)
    key, raw = keys["vendor"]
    block, header = index.block_of(lambda header: REQUIREMENT in header)
    table_bytes = index.envelope["#index"]
    check("index: deterministic CBOR", canonical(data) and canonical(table_bytes))
    check("index: manifest digest", index.manifest_digest() == index.digest[1])
    check("index: vendor", (header[4], header[REQUIREMENT]) == (sha256(raw)[:8], False))
    check("index: vendor signature", verifies(index, block, key))
    stated = index.parameters[0]
    check("index: table", stated == (sha256(table_bytes), len(table_bytes)))
    check("index: for the package's devices", device_ids(index) == device_ids(listed))
    table = cbor2.loads(table_bytes)
    entry = table[1][0]
    check("index: version and count", (table[0], len(table[1])) == (1, 1))
    check("index: package", (entry[1], entry[2]) == (len(package), sha256(package)))
    check("index: manifest", (entry[3], entry[4]) == (listed.digest[1], listed.manifest[2]))
    part = entry[8][0]
    images = {0: part[1][1:], 3: part[2][1:]}
    holds = all([size, digest] == images[at]
                for at, (digest, size) in listed.parameters.items() if at in images)
    check("index: images", part[0] == "main" and holds)


def untouched(before, after):
    """Approving added a block and changed nothing else."""
    same = {key: value for key, value in before.envelope.items() if key != 2}
    rest = {key: value for key, value in after.envelope.items() if key != 2}
    old_blocks = cbor2.loads(before.envelope[2])
    new_blocks = cbor2.loads(after.envelope[2])
    return same == rest and new_blocks[: len(old_blocks)] == old_blocks


def main():
    command = os.environ["FWDELTA"]
    firmware = Path(os.environ["FWDELTA_TESTDATA"]) / "firmware"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)

        def run(*arguments):
            subprocess.run([command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

        keys = {}
        for name in ["vendor", "signed", "string"]:
            run("keygen", "--out", work / name)
            keys[name] = public_key(work / f"{name}.pub")
        approvals = [
            ["26201", "--key", work / "signed.key"],
            ["310410", "--key", work / "string.key", "--mode", "string", "--string", SECRET.hex()],
            ["20801", "--mode", "secret", "--string", SECRET.hex()],
        ]
        (work / "flash.toml").write_text(FLASH)
        pairs = sorted(path.parent for path in firmware.glob("*/old.bin"))
        for pair in pairs:
            old, new = (pair / "old.bin").read_bytes(), (pair / "new.bin").read_bytes()
            for profile, *more in WAYS:
                name = " ".join([pair.name, profile, *more])
                path = work / "package.suit"
                run("build", "--old", pair / "old.bin", "--new", pair / "new.bin", "--profile",
                    profile, "--key", work / "vendor.key", "--sequence", "7", "--require", "any",
                    "-o", path, *(work / "flash.toml" if it == "flash.toml" else it for it in more))
                before = Package(path.read_bytes())
                for approval in approvals:
                    run("approve", path, "--operator", *approval, "-o", path)
                after = check_package(name, path.read_bytes(), old, new, keys)
                check(f"{name}: approving changed nothing else", untouched(before, after))
        run("index", path, "--key", work / "vendor.key", "--sequence", "1", "-o", work / "index")
        check_index((work / "index").read_bytes(), path.read_bytes(), keys)
        check_algorithms(Package, run, work, pairs[0] / "new.bin", check)
        vectors = firmware.parent / "vectors"
        check_trust(Package, command, run, work, vectors / "new.bin", vectors, check)
        check_demands(Package, command, run, work, vectors / "new.bin", vectors, has_lattices(),
                      check)
        check_encryption(Package, run, work, pairs[0], vectors, chain_holds,
                         independent_delta.decode, check)
    print(f"\ntest result: {'ok' if not failed else 'FAILED'}. {passed} passed; {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
