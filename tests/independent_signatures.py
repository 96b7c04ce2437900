"""Keys and signatures of docs/format.md, section 5, with nothing of ours: `cryptography` only."""

import cbor2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

try:  # Version 47 and later, where OpenSSL has it.
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:
    mldsa = None

ED25519, ESP256, ML_DSA_44 = -19, -9, -48
PEM = serialization.Encoding.PEM


def has_lattices():
    """Whether this version of `cryptography` verifies ML-DSA."""
    try:
        return mldsa is not None and mldsa.MLDSA44PrivateKey.generate() is not None
    except UnsupportedAlgorithm:
        return False


def algorithm(key):
    """The number in COSE of what a public key is for."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(key, ec.EllipticCurvePublicKey):
        assert key.curve.name == "secp256r1"
        return ESP256
    return ML_DSA_44


def raw(key):
    """The raw bytes of a public key, of which the key id is made."""
    if algorithm(key) == ESP256:
        form = serialization.PublicFormat.UncompressedPoint
        return key.public_bytes(serialization.Encoding.X962, form)
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def public_key(path):
    """The key object and its raw bytes, from SPKI PEM."""
    key = serialization.load_pem_public_key(path.read_bytes())
    return key, raw(key)


def verifies(package, block, key):
    """COSE_Sign1 with a detached payload (RFC 9052, section 4.4)."""
    protected, unprotected, payload, signature = block.value
    assert block.tag == 18 and unprotected == {} and payload is None
    message = cbor2.dumps(["Signature1", protected, b"", package.payload])
    number = algorithm(key)
    if cbor2.loads(protected)[1] != number:
        return False
    try:
        if number == ESP256:
            assert len(signature) == 64
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def generate(number):
    """A private key that our command has never seen."""
    if number == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if number == ESP256:
        return ec.generate_private_key(ec.SECP256R1())
    return mldsa.MLDSA44PrivateKey.generate()


def sign(key, message):
    """A signature as this library writes it: of ESP256 in DER."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(hashes.SHA256()))
    return key.sign(message)


def write_public(key, path):
    """The public half as SPKI PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(PEM, form))


def write_private(key, path):
    """PKCS#8 PEM, as other tools write it."""
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(PEM, form, serialization.NoEncryption()))


def check_algorithms(read, run, work, image, check):
    """Signatures both ways: ours are verified here, and those made here are attached by ours."""
    names = {"Ed25519": ED25519, "ESP256": ESP256, "ML-DSA-44": ML_DSA_44}
    if not has_lattices():
        print("SKIPPED: ML-DSA-44: this version of the Python module `cryptography` lacks it")
        del names["ML-DSA-44"]
    draft = work / "draft.suit"
    run("build", "--new", image, "--sequence", "7", "--unsigned", "-o", draft)
    package = work / "signed.suit"
    package.write_bytes(draft.read_bytes())
    keys = {}
    for name, number in names.items():
        stem = name.lower()
        # One block by a key of ours, one by a key that only Python has.
        run("keygen", "--algorithm", stem, "--out", work / f"ours-{stem}")
        run("sign", "add", package, "--key", work / f"ours-{stem}.key", "-o", package)
        keys[f"{name}, ours"] = public_key(work / f"ours-{stem}.pub")[0]
        theirs, public = generate(number), work / f"theirs-{stem}.pub"
        write_public(theirs, public)
        request, proof = work / "request", work / "signature"
        run("sign", "prepare", draft, "--key", public, "-o", request)
        proof.write_bytes(sign(theirs, request.read_bytes()))
        run("sign", "attach", package, "--key", public, "--request", request, "--signature",
            proof, "-o", package)
        keys[f"{name}, Python's"] = theirs.public_key()
        write_private(theirs, work / "theirs.key")
        run("sign", "public", "--key", work / "theirs.key", "-o", work / "again.pub")
        again = public_key(work / "again.pub")
        check(f"{name}: a private key of Python's is read", again[1] == raw(theirs.public_key()))
    blocks = read(package.read_bytes())
    check("one block by each key", len(blocks.blocks) == len(keys))
    for block, (name, key) in zip(blocks.blocks, keys.items()):
        others = [other for other in keys.values() if other is not key]
        check(f"{name}: signature", verifies(blocks, block, key))
        check(f"{name}: by nobody else", not any(verifies(blocks, block, it) for it in others))
    hybrid = ', hybrid = "ours-ml-dsa-44.pub"' if "ML-DSA-44" in names else ""
    (work / "all.toml").write_text(
        "version = 1\n[vendor]\nthreshold = 3\n"
        'keys = ["ours-ed25519.pub", "theirs-ed25519.pub", '
        + ('{ key = "theirs-esp256.pub"' + hybrid + " }" if hybrid else '"theirs-esp256.pub"')
        + "]\n"
    )
    # Raises if the command refuses.
    run("verify", package, "--trust", work / "all.toml")
    check("our command accepts the signatures of both", True)
