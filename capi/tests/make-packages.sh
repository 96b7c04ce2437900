#!/bin/sh
# Makes testdata/capi anew: packages for the C programs in this folder.
#
# The keys live in a temporary folder and are gone afterwards, so a new run gives other signatures.
# Runs the command from the top of the repository; set FWDELTA to use one that is built already.
set -eu
cd "$(dirname "$0")/../.."
fwdelta=${FWDELTA:-}
if [ -z "$fwdelta" ]; then
    cargo build --quiet --release --bin fwdelta
    fwdelta=${CARGO_TARGET_DIR:-target}/release/fwdelta
fi
firmware=testdata/firmware
out=testdata/capi
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
rm -rf "$out"
mkdir "$out"

for name in vendor op-26201 op-310410; do
    "$fwdelta" keygen --out "$keys/$name"
done
cat > "$keys/trust.toml" <<'TRUST'
version = 1
[vendor]
threshold = 1
keys = ["vendor.pub"]
[[operator]]
plmn = "26201"
keys = ["op-26201.pub"]
[[operator]]
plmn = "310410"
keys = ["op-310410.pub"]
TRUST
"$fwdelta" trust compile "$keys/trust.toml" -o "$out/trust.cbor"

# Condition byte with the allow bit, then the string "fwdelta test SIM".
printf '\001fwdelta test SIM' > "$out/ef_fota.bin"
string=667764656c746120746573742053494d

# approved NAME BUILD-ARGUMENT...: a package with approvals of both operators.
approved() {
    name=$1
    shift
    "$fwdelta" build "$@" --key "$keys/vendor.key" --sequence 7 -o "$out/$name.suit"
    "$fwdelta" approve "$out/$name.suit" --operator 26201 --key "$keys/op-26201.key" \
        --string "$string" -o "$keys/$name.suit"
    "$fwdelta" approve "$keys/$name.suit" --operator 310410 --key "$keys/op-310410.key" \
        -o "$out/$name.suit"
}

approved package --old "$firmware/moondancer/old.bin" --new "$firmware/moondancer/new.bin"
approved detached --detached https://updates.example.com/ \
    --old "$firmware/apollo/old.bin" --new "$firmware/apollo/new.bin"
approved pair \
    --component "boot:$firmware/apollo/old.bin:$firmware/apollo/new.bin" \
    --component "app:$firmware/moondancer/old.bin:$firmware/moondancer/new.bin"
approved full --new "$firmware/apollo/new.bin"
approved in-place --old "$firmware/apollo/old.bin" --new "$firmware/apollo/new.bin" \
    --in-place --page 1K --spare 2

# Prompts: the vendor's in three languages, those of the first operator in two.
cat > "$keys/release.toml" <<'RELEASE'
version = "2.1.0"
[vendor]
domain = "example.com"
name = "Example Devices"
homepage = "https://www.example.com/"
[device]
class = "router-x1"
model = "Router X1"
[language.en.prompts]
before_update = "Install now?"
[language.de.prompts]
before_download = "Jetzt laden?"
before_update = "Jetzt einspielen?"
[language.de-AT.prompts]
after_update = "Passt."
RELEASE
cat > "$keys/prompts.toml" <<'PROMPTS'
[fr]
before_update = "Votre opérateur vous demande : installer ?"
[en]
before_update = "Your operator asks: install?"
PROMPTS
"$fwdelta" build --old "$firmware/apollo/old.bin" --new "$firmware/apollo/new.bin" \
    --key "$keys/vendor.key" --sequence 7 --release "$keys/release.toml" -o "$keys/prompts.suit"
"$fwdelta" approve "$keys/prompts.suit" --operator 26201 --key "$keys/op-26201.key" \
    --string "$string" --prompts "$keys/prompts.toml" -o "$out/prompts.suit"

# Deltas for one slot, by coder: 4 with a small and a larger model, 1; page, spare pages, interval
# and order differ.
cat > "$out/in-place.tsv" <<'INDEX'
small	1K	2	1
tiny	512	3	3
plain	2K	1	1
INDEX
while read -r profile page spare interval; do
    "$fwdelta" diff "$firmware/apollo/old.bin" "$firmware/apollo/new.bin" \
        "$out/in-place-$profile.fwd" --in-place --profile "$profile" --page "$page" \
        --spare "$spare" --interval "$interval"
done < "$out/in-place.tsv"
rm "$out/in-place.tsv"

# One for a slot whose first sectors are shorter than the others.
cat > "$keys/mixed.toml" <<'GEOMETRY'
page = "2K"
spare = 1
[[first]]
len = "512"
count = 2
[[first]]
len = "1K"
count = 1
GEOMETRY
"$fwdelta" diff "$firmware/apollo/old.bin" "$firmware/apollo/new.bin" "$out/in-place-mixed.fwd" \
    --profile plain --geometry "$keys/mixed.toml"

# Two updates in place between the same images, each with its way back.
mkdir "$out/way-back"
cp "$out/trust.cbor" "$out/way-back/trust.cbor"
for sequence in 8 9; do
    "$fwdelta" build --old "$firmware/apollo/old.bin" --new "$firmware/apollo/new.bin" \
        --key "$keys/vendor.key" --sequence "$sequence" --in-place --page 1K --spare 2 \
        --rollback "$out/way-back/back$sequence.suit" -o "$out/way-back/update$sequence.suit"
done
ls -l "$out"
