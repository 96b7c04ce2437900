"""Decrypts packages as docs/format.md, section 3.5, says; of ours there is nothing in here."""

import hashlib

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat, load_pem_private_key)

CHUNKED = -70006
CIPHERS = {1: AESGCM, 24: ChaCha20Poly1305}
TAG_LEN = 16


class NotDecrypted(Exception):
    """No key fits, or a tag is wrong."""


def load_key(path):
    """A private key, or the 16 bytes of a group's; with the key id of either."""
    data = path.read_bytes()
    if data.startswith(b"-----"):
        key = load_pem_private_key(data, None)
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return key, hashlib.sha256(point).digest()[:8]
    key = bytes.fromhex(data.decode().strip())
    return key, hashlib.sha256(b"fwdelta/group-key/v1" + key).digest()[:8]


def encryption_info(package, index):
    """Parameter 19 where component `index` is copied to."""
    sequence = cbor2.loads(package.manifest[20])
    at = 0
    for command, argument in zip(sequence[::2], sequence[1::2]):
        if command == 12:
            at = argument
        elif command == 20 and at == index and 19 in argument:
            return cbor2.loads(argument[19])
    return None


def wrapping_key(recipient, key):
    """The key that the content key is wrapped with."""
    protected, unprotected, _ = recipient
    if isinstance(key, bytes):
        if unprotected[1] != -3:
            raise NotDecrypted
        return key
    point = unprotected[-1]
    assert cbor2.loads(protected) == {1: -29} and (point[1], point[-1]) == (2, 1)
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(point[-2], "big"), int.from_bytes(point[-3], "big"), ec.SECP256R1())
    shared = key.exchange(ec.ECDH(), numbers.public_key())
    context = [-3, [None] * 3, [None] * 3, [128, protected, b"SUIT Payload Encryption"]]
    info = cbor2.dumps(context)
    return HKDF(algorithm=hashes.SHA256(), length=16, salt=None, info=info).derive(shared)


def content_key(info, key, kid):
    is_group = isinstance(key, bytes)
    for recipient in info.value[3]:
        if recipient[1][4] == kid and (recipient[0] == b"") == is_group:
            try:
                return keywrap.aes_key_unwrap(wrapping_key(recipient, key), recipient[2])
            except keywrap.InvalidUnwrap as error:
                raise NotDecrypted from error
    raise NotDecrypted


def decrypt(info, header, payload, key, kid):
    """The plain payload, without the hashes of the chain."""
    protected, unprotected, ciphertext, _ = info.value
    content = cbor2.loads(protected)
    assert info.tag == 96 and ciphertext is None and list(unprotected) == [5]
    if content[2] != [CHUNKED] or content[CHUNKED] != 1 or content[1] not in CIPHERS:
        raise NotDecrypted
    cipher = CIPHERS[content[1]](content_key(info, key, kid))
    aad = cbor2.dumps(["Encrypt", protected, b""])
    chunk_len, plain, pos, number = header[8][0], b"", 0, 0
    while True:
        is_last = len(payload) - pos <= chunk_len
        end = len(payload) if is_last else pos + chunk_len
        counter = bytes(7) + number.to_bytes(4, "big") + bytes([is_last])
        nonce = bytes(a ^ b for a, b in zip(unprotected[5], counter))
        try:
            plain += cipher.decrypt(nonce, payload[pos:end], aad)
        except (InvalidTag, ValueError) as error:
            raise NotDecrypted from error
        if is_last:
            return plain
        pos, number = end + 32, number + 1


def opened(package, index, key, kid):
    """The decrypted payload of the one component whose new image is at `index`; else None."""
    header = cbor2.loads(package.envelope["#h0"])
    payload = package.envelope["#payload0"]
    info = encryption_info(package, index)
    try:
        return header, decrypt(info, header, payload, key, kid)
    except NotDecrypted:
        return None


def unchained(header, plain):
    """The header as of a delta without chain."""
    return {key: value for key, value in header.items() if key != 8} | {7: len(plain)}


def check_encryption(Package, run, work, pair, vectors, chain_holds, decode, check):
    """Packages that the command makes now, then the vectors."""
    old, new = pair / "old.bin", pair / "new.bin"
    for name, algorithm in [("device", "ecdh-es"), ("other", "ecdh-es"), ("fleet", "a128kw")]:
        run("keygen", "--algorithm", algorithm, "--out", work / name)
    for cipher in ["a128gcm", "chacha20-poly1305"]:
        path = work / "encrypted.suit"
        run("build", "--old", old, "--new", new, "--profile", "plain", "--sequence", "7", "--key",
            work / "vendor.key", "--recipient", work / "other.pub", "--recipient",
            work / "device.pub", "--group-key", work / "fleet.key", "--cipher", cipher, "-o", path)
        package = Package(path.read_bytes())
        header, payload = cbor2.loads(package.envelope["#h0"]), package.envelope["#payload0"]
        check(f"{cipher}: chain over the ciphertext", chain_holds(header, payload))
        for key in ["device", "fleet"]:
            found = opened(package, 3, *load_key(work / f"{key}.key"))
            image = found and decode(unchained(*found), found[1], old.read_bytes())
            check(f"{cipher}: decrypted with {key}.key", image == new.read_bytes())
        check(f"{cipher}: not by a vendor's key",
              opened(package, 3, bytes(16), hashlib.sha256(b"").digest()[:8]) is None)
    new = (vectors / "new.bin").read_bytes()
    for line in (vectors / "encrypted/index.tsv").read_text().splitlines()[1:]:
        name, key, expected = line.split("\t")
        if key == "-":
            continue
        package = Package((vectors / f"encrypted/{name}.suit").read_bytes())
        found = opened(package, 2, *load_key(vectors / "encrypted" / key))
        image = found and decode(unchained(*found), found[1], b"")
        check(f"vector {name}", image == new if expected == "0" else found is None)
    for line in (vectors / "encrypted/in-place.tsv").read_text().splitlines()[1:]:
        name, key, expected, plain = line.split("\t")
        package = Package((vectors / f"encrypted/{name}.suit").read_bytes())
        found = opened(package, 3, *load_key(vectors / "encrypted" / key))
        digest = found and hashlib.sha256(found[1]).hexdigest()
        check(f"vector {name} with {key}", digest == plain if expected == "0" else found is None)
    for line in (vectors / "encrypted/keys.tsv").read_text().splitlines()[1:]:
        name, kid, secret = line.split("\t")
        key, own = load_key(vectors / "encrypted" / name)
        number = key if isinstance(key, bytes) else \
            key.private_numbers().private_value.to_bytes(32, "big")
        check(f"key file {name}", (own.hex(), number.hex()) == (kid, secret))
