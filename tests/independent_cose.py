"""Every block of a package, verified by `cwt`: a COSE library that knows nothing of SUIT or of us.

The payload of each block is detached, the encoded digest of the manifest. Private header labels
(-70001 to -70005) stand in the protected header, where a library has to pass over what it does not
know. docs/interoperability.md says what it takes and what not; both are held here.
"""

import hashlib
import hmac
import os
import pathlib
import subprocess
import tempfile

import cbor2
from cryptography.hazmat.primitives import serialization
from cwt import COSE, COSEKey

FWDELTA = os.environ["FWDELTA"]
SIGNING, SECRET = "26201", "310410"
STRING = bytes(range(16))
ALGORITHMS = {"ed25519": "Ed25519", "esp256": "ESP256"}
PLAIN = serialization.PublicFormat.Raw
POINT = serialization.PublicFormat.UncompressedPoint


def run(folder, *args):
    subprocess.run([FWDELTA, *args], cwd=folder, check=True, capture_output=True)


def public_key(path, algorithm):
    """A COSE key whose id is what docs/format.md, section 5, says."""
    pem = path.read_bytes()
    key = serialization.load_pem_public_key(pem)
    if algorithm == "esp256":
        raw = key.public_bytes(serialization.Encoding.X962, POINT)
    else:
        raw = key.public_bytes(serialization.Encoding.Raw, PLAIN)
    kid = hashlib.sha256(raw).digest()[:8]
    return COSEKey.from_pem(pem.decode(), alg=ALGORITHMS[algorithm], kid=kid)


def secret_key(string, plmn):
    """HKDF-SHA-256 (RFC 5869) of a validation string, by hand: extract, then one block."""
    extracted = hmac.digest(bytes(32), string, "sha256")
    info = b"fwdelta/approval/v1" + plmn.encode()
    key = hmac.digest(extracted, info + b"\x01", "sha256")
    return COSEKey.from_symmetric_key(key, alg="HS256")


def blocks(package):
    """Digest and blocks of the authentication wrapper, each as its bytes."""
    envelope = cbor2.loads(package.read_bytes())
    assert envelope.tag == 107
    manifest = cbor2.dumps(envelope.value[3])
    digest, *found = cbor2.loads(envelope.value[2])
    assert cbor2.loads(digest) == [-16, hashlib.sha256(manifest).digest()]
    return digest, found


def refused(block, key, payload):
    try:
        COSE.new().decode(block, key, detached_payload=payload)
    except Exception:  # Whichever of its errors it gives.
        return True
    return False


def make(folder):
    old = bytes((i * i) >> 3 & 0xFF for i in range(4096))
    (folder / "old.bin").write_bytes(old)
    (folder / "new.bin").write_bytes(old[:1000] + b"new text" + old[1008:])
    (folder / "sim.hex").write_text(STRING.hex())
    for algorithm in ALGORITHMS:
        for role in ("vendor", "operator"):
            run(folder, "keygen", "--out", f"{role}-{algorithm}", "--algorithm", algorithm)
    keys = [word for name in ALGORITHMS for word in ("--key", f"vendor-{name}.key")]
    images = ("--old", "old.bin", "--new", "new.bin", "--sequence", "7")
    run(folder, "build", *images, *keys, "-o", "0.suit")
    approve = ("--operator", SIGNING)
    signed = ("--mode", "string", "--string-file", "sim.hex", "--key", "operator-ed25519.key")
    run(folder, "approve", "0.suit", *approve, *signed, "-o", "1.suit")
    run(folder, "approve", "1.suit", *approve, "--key", "operator-esp256.key", "-o", "2.suit")
    secret = ("--mode", "secret", "--string-file", "sim.hex")
    run(folder, "approve", "2.suit", "--operator", SECRET, *secret, "-o", "3.suit")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder)
        digest, found = blocks(folder / "3.suit")
        order = [(role, key) for role in ("vendor", "operator") for key in ALGORITHMS]
        keys = [public_key(folder / f"{role}-{name}.pub", name) for role, name in order]
        keys.append(secret_key(STRING, SECRET))
        assert len(found) == len(keys) == 5
        for number, (block, key) in enumerate(zip(found, keys)):
            COSE.new().decode(block, key, detached_payload=digest)
            assert refused(block, key, digest[:-1] + b"\x00"), f"block {number}, another digest"
            assert refused(block, keys[number - 1], digest), f"block {number}, another key"
        assert refused(found[4], secret_key(STRING, SIGNING), digest)
    print(f"cwt verifies {len(found)} blocks: Ed25519, ESP256 and HMAC 256/256")


if __name__ == "__main__":
    main()
