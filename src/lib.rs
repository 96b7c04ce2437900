//! Firmware delta packages: build, sign, approve, describe, verify and apply.
