"""Images for MCUboot, compared with those of `imgtool`, MCUboot's own tool, and verified by it.

The same payload, key and options must give the same bytes: all of them with Ed25519, all but the
signature with P-256, as `imgtool` draws a random number for each.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

import cbor2

FWDELTA = os.environ["FWDELTA"]
IMGTOOL = str(pathlib.Path(sys.executable).with_name("imgtool"))
KEYS = ("ed25519", "esp256")
ECDSA = 0x22


def run(folder, *args):
    return subprocess.run(args, cwd=folder, check=True, capture_output=True, text=True).stdout


def fwdelta(folder, *args):
    return run(folder, FWDELTA, *args)


def imgtool(folder, *args):
    return run(folder, IMGTOOL, *args)


def verifies(folder, key, image):
    command = [IMGTOOL, "verify", "-k", key, image]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == ("Image was correctly validated" in said), said
    return done.returncode == 0


def manifest_digest(path):
    """What the blocks of a package sign."""
    manifest = cbor2.loads(path.read_bytes()).value[3]
    return hashlib.sha256(cbor2.dumps(manifest)).digest()


def without_signature(image):
    """The bytes before the last entry, if that is an ECDSA signature; its area is cut."""
    end = 512 + int.from_bytes(image[12:16], "little") + int.from_bytes(image[10:12], "little")
    assert image[end : end + 2] == b"\x07\x69"
    pos = end + 4
    while pos < len(image):
        kind, size = (int.from_bytes(image[at : at + 2], "little") for at in (pos, pos + 2))
        if kind == ECDSA:
            assert pos + 4 + size == len(image)
            return image[: end + 2] + image[end + 4 : pos]
        pos += 4 + size
    return image


def make(folder):
    for name in KEYS:
        fwdelta(folder, "keygen", "--out", name, "--algorithm", name)
    (folder / "app.bin").write_bytes(bytes((i * i) >> 3 & 0xFF for i in range(5001)))
    package = ("--new", "app.bin", "--key", "ed25519.key", "--sequence", "3")
    fwdelta(folder, "build", *package, "-o", "update.suit")


def compare(folder, key, ours, theirs):
    """Signs with both and compares; gives our image's name."""
    export = ("export", "mcuboot", "app.bin", "--key", f"{key}.key", "--header-len", "512")
    fwdelta(folder, *export, *ours, "-o", "ours.bin")
    sign = ("sign", "--key", f"{key}.key", "--align", "4", "--header-size", "512")
    imgtool(folder, *sign, "--pad-header", "--slot-size", "65536", *theirs, "app.bin", "theirs.bin")
    a, b = ((folder / name).read_bytes() for name in ("ours.bin", "theirs.bin"))
    assert without_signature(a) == without_signature(b), key
    assert (a == b) == (key == "ed25519"), key
    for kind in ("key", "pub"):
        assert verifies(folder, f"{key}.{kind}", "ours.bin"), key
    for pos in (0x14, 600, len(a) - 60, len(a) - 1):
        (folder / "changed.bin").write_bytes(a[:pos] + bytes([a[pos] ^ 1]) + a[pos + 1 :])
        assert not verifies(folder, f"{key}.pub", "changed.bin"), f"{key}: byte {pos}"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder)
        digest = manifest_digest(folder / "update.suit")
        ours = ("--image-version", "1.2.3+4", "--security-counter", "9", "--dependency", "1:1.0.2")
        theirs = ("--version", "1.2.3+4", "--security-counter", "9", "--dependencies", "(1,1.0.2)")
        for key in KEYS:
            compare(folder, key, ("--image-version", "7"), ("--version", "7.0.0"))
            compare(
                folder,
                key,
                (*ours, "--package", "update.suit"),
                (*theirs, "--custom-tlv", "0x00a0", "0x" + digest.hex()),
            )
            assert digest in (folder / "ours.bin").read_bytes()
        other = ("export", "mcuboot", "ed25519.pub", "--key", "ed25519.key", "--image-version", "1")
        command = [FWDELTA, *other, "--package", "update.suit", "-o", "other.bin"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 19 and "no component of it" in done.stderr, done.stderr
        assert not (folder / "other.bin").exists()
    print("imgtool makes the same images and verifies ours: Ed25519 and P-256")


if __name__ == "__main__":
    main()
