"""Statements of provenance, read by `in-toto-attestation`: the framework's own types.

They are parsed strictly, so an unknown or misspelt field fails, and the digests in them are
compared with the files.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

FWDELTA = os.environ["FWDELTA"]
EPOCH = "SOURCE_DATE_EPOCH"
COMMAND = (
    "build --component boot::boot.bin --component app:old.bin:new.bin --key vendor.key --sequence 7"
    " --detached --sbom bom.json --provenance made.json -o update.suit"
)


def run(folder, *args, **more):
    environment = {name: value for name, value in os.environ.items() if name != EPOCH}
    subprocess.run(
        [FWDELTA, *args], cwd=folder, check=True, capture_output=True, env={**environment, **more}
    )


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path):
    """The statement and its predicate, as the framework's types."""
    text = path.read_text()
    statement = Statement.copy_from_pb(json_format.Parse(text, statement_pb2.Statement()))
    statement.validate()
    predicate = json.loads(text)["predicate"]
    assert statement.pb.predicate_type == "https://slsa.dev/provenance/v1"
    return statement.pb, json_format.ParseDict(predicate, provenance_pb2.Provenance())


def digests(descriptors):
    return {it.name: it.digest["sha256"] for it in descriptors}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        old = bytes((i * i) >> 3 & 0xFF for i in range(4096))
        (folder / "old.bin").write_bytes(old)
        (folder / "new.bin").write_bytes(old[:1000] + b"new text" + old[1008:])
        (folder / "boot.bin").write_bytes(old[:512])
        (folder / "bom.json").write_text('{"bomFormat": "CycloneDX"}')
        run(folder, "keygen", "--out", "vendor")
        run(folder, *COMMAND.split())
        statement, made = read(folder / "made.json")

        payloads = {path.name: sha256(path) for path in folder.glob("update.*.fwd")}
        assert len(payloads) == 2
        expected = {"update.suit": sha256(folder / "update.suit"), **payloads}
        assert digests(statement.subject) == expected
        inputs = {"boot/new": "boot.bin", "app/old": "old.bin", "app/new": "new.bin"}
        expected = {name: sha256(folder / file) for name, file in inputs.items()}
        expected["bom.json"] = sha256(folder / "bom.json")
        definition = made.build_definition
        assert digests(definition.resolved_dependencies) == expected
        parameters = definition.external_parameters
        assert parameters["sequence"] == 7 and parameters["text"] is True
        assert made.run_details.builder.id and definition.build_type.endswith("/build/v1")
        assert not made.run_details.HasField("metadata")

        first = (folder / "made.json").read_bytes()
        run(folder, *COMMAND.split())
        assert (folder / "made.json").read_bytes() == first, "the same run, the same bytes"
        builder = ("--builder-id", "https://builds.example/3")
        run(folder, *COMMAND.split(), *builder, **{EPOCH: "86461"})
        _, made = read(folder / "made.json")
        assert made.run_details.metadata.started_on.ToSeconds() == 86461
        assert made.run_details.builder.id == "https://builds.example/3"
    print("in-toto-attestation reads the statement, and its digests are those of the files")


if __name__ == "__main__":
    main()
