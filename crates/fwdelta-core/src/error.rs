//! One error number everywhere (docs/format.md, section 2).
//!
//! A [`Detail`] names the rule that was broken; its hundreds are the [`Category`], which is the C
//! return value and, plus ten, the exit code of the command. Errors are flat and `Copy`, hold no
//! strings and cost a device twelve bytes.

use core::fmt;

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

/// Whose fault it is; `0` is reserved for success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Category {
    /// Bytes malformed or not canonical.
    Format = 1,
    /// Well-formed, but newer than this implementation.
    Unsupported = 2,
    /// Declares more than the caller allows.
    Limit = 3,
    /// Not authentic.
    Signature = 4,
    /// Authentic but refused.
    Policy = 5,
    /// The old image is not the one named.
    WrongOld = 6,
    /// A chunk, payload or result does not match its digest.
    Corrupt = 7,
    /// The driver or host I/O failed, storage is too short, or a payload is missing; a resume is
    /// legal.
    Storage = 8,
    /// The caller misused the API.
    Usage = 9,
    /// Would otherwise have been a panic.
    Bug = 10,
}

macro_rules! details {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The rule that was broken: `100 * category + n`, as listed in docs/format.md.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Detail {
            $(#[doc = $text] $name = $number,)*
        }

        impl Detail {
            /// Every detail, in numeric order.
            pub const ALL: &'static [Detail] = &[$(Detail::$name,)*];

            /// The name used in docs/format.md, vectors and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Detail::$name => stringify!($name),)* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Detail::$name => $text,)* }
            }
        }
    };
}

details! {
    Truncated = 101, "the bytes end inside an item";
    NotCanonical = 102, "not in deterministic CBOR: longer than needed, indefinite or out of order";
    DuplicateKey = 103, "a map key occurs twice";
    WrongType = 104, "an item has another CBOR type than the format says";
    TrailingBytes = 105, "bytes follow the end of the structure";
    BadTag = 106, "the CBOR tag is not the one required here";
    BadUtf8 = 107, "a text string is not UTF-8";
    UnreferencedPayload = 108,
        "an integrated payload is not referenced by the manifest or an approval";
    MissingField = 109, "a required field is absent";
    BadValue = 110, "a value is outside the range of its field";
    HeaderMismatch = 111, "the delta header contradicts the manifest";
    DuplicateComponent = 112, "two components have the same name";
    BadMagic = 113, "not a file of this kind";
    BadCover = 114, "a cover or literal reaches outside the old or the new image";
    BadStream = 115, "the coded stream is not valid or does not end where it should";
    DuplicateBlock = 116, "two authentication blocks carry the same key id or approval";
    VendorsDisagree = 117, "vendor blocks disagree about the operator requirement";
    BadPlmn = 118, "a PLMN is not five or six decimal digits";
    BadReference = 119, "a payload reference is not of the required form";
    UnknownVersion = 201, "a format version this implementation does not know";
    UnknownKey = 202, "a map key this implementation does not know";
    UnknownAlgorithm = 203, "an algorithm this implementation does not know";
    UnknownRecipe = 204, "a command sequence outside the accepted recipe grammar";
    UnknownCoder = 205, "a coder this implementation does not have";
    UnknownSection = 206, "a delta section this implementation does not know";
    UnknownMode = 207, "an approval mode this implementation does not know";
    UnknownLabel = 208, "a COSE header label this implementation does not know";
    NotBuiltIn = 209, "a defined feature that this build does not include";
    EnvelopeTooLarge = 301, "the authenticated part of the envelope is larger than allowed";
    TooManyBlocks = 302, "more authentication blocks than allowed";
    TooManyComponents = 303, "more components than allowed";
    TooDeep = 304, "nested deeper than allowed";
    TooManyKeys = 305, "more keys, operators or payloads than allowed";
    WorkspaceTooSmall = 306, "the delta needs more working memory than is given";
    ImageTooLarge = 307, "an image is larger than allowed";
    ChunkTooLarge = 308, "the chunk length is larger than allowed";
    StringTooLong = 310, "a string is longer than allowed";
    DigestMismatch = 401, "the manifest does not match its digest";
    VendorThreshold = 402, "fewer vendor signatures than the trust anchor requires";
    BadSignature = 403, "a block by a trusted key does not verify";
    WrongRole = 404, "a trusted key is used in a role or for a PLMN it is not trusted for";
    WrongVendor = 501, "the package is for another vendor's devices";
    WrongClass = 502, "the package is for another class of device";
    Rollback = 503,
        "the sequence number or version is too low, or what it would undo is not pending";
    SequenceJump = 504,
        "the sequence number or version is further ahead than the device allows";
    Expired = 505, "the package has expired";
    OperatorMismatch = 506, "approved, but not by the operator of this SIM";
    OperatorRequired = 507, "the vendor requires an operator's approval that is not there";
    FotaNotAllowed = 508, "the SIM does not allow firmware updates";
    NotApproved = 509, "no operator approved it and the device asks for an approval";
    StringMismatch = 510, "the operator's validation string is not the SIM's";
    NoSim = 511, "there is no SIM and the device refuses to update without one";
    ModeNotAllowed = 512, "the operator's approval is in a mode the trust anchor does not accept";
    StringMissing = 513, "the trust anchor requires a validation string and the approval has none";
    WrongHardware = 514, "the package is for other revisions of the hardware";
    WrongDevice = 515, "the package is for another device of this class";
    BatteryLow = 516, "the battery has less charge than the package asks for";
    DependencyVersion = 517,
        "another component is not there in the version that the package asks for";
    NotAuthorized = 518, "the package asks for an authorization that was not given";
    NotRecipient = 519, "the package is encrypted, and not for a key that was given";
    OldDigest = 601, "the old image has another digest than the one this update starts from";
    OldSize = 602, "the old image has another size than the one this update starts from";
    ChunkDigest = 701, "a chunk does not match its hash";
    PayloadDigest = 702, "a payload does not match its digest";
    HeaderDigest = 703, "the delta header does not match its digest";
    NewDigest = 704, "the new image does not match its digest";
    TextDigest = 705, "the text does not match its digest";
    PromptsDigest = 706, "the prompts do not match their digest";
    PayloadSize = 707, "a payload has another size than the manifest says";
    NotDecrypted = 708, "the content key or a chunk does not decrypt";
    ReadFailed = 801, "reading from storage failed";
    WriteFailed = 802, "writing to storage failed";
    MissingPayload = 803, "a payload is neither in the package nor beside it";
    StateFailed = 804, "the device state could not be read or written";
    NoSpace = 805, "storage has too little room: the slot, the scratch flash or the disk";
    BadArgument = 901, "an argument does not fit";
    WrongState = 902, "the call is not legal in this state";
    MissingOld = 903, "no old image was given for a component that needs one";
    Cancelled = 904, "cancelled by the caller";
    Bug = 1001, "an internal invariant does not hold";
}

impl Detail {
    /// The category: the hundreds of the number.
    #[must_use]
    pub const fn category(self) -> Category {
        match self as u16 / 100 {
            1 => Category::Format,
            2 => Category::Unsupported,
            3 => Category::Limit,
            4 => Category::Signature,
            5 => Category::Policy,
            6 => Category::WrongOld,
            7 => Category::Corrupt,
            8 => Category::Storage,
            9 => Category::Usage,
            _ => Category::Bug,
        }
    }
}

/// What was refused, where, and whether the old image still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The rule that was broken.
    pub detail: Detail,
    /// Byte offset in the structure being read, `0` where it has no meaning.
    pub pos: u64,
    /// False once the first byte of the old image may have been overwritten.
    pub old_intact: bool,
}

impl Error {
    /// An error at byte offset `pos`; the old image is intact.
    #[must_use]
    pub const fn at(detail: Detail, pos: u64) -> Self {
        Self { detail, pos, old_intact: true }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn category(self) -> Category {
        self.detail.category()
    }

    /// The number a C caller sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.category() as u8
    }
}

impl From<Detail> for Error {
    fn from(detail: Detail) -> Self {
        Self::at(detail, 0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}: {}", self.category(), self.detail.name(), self.detail.text())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_sorted_and_in_their_category() {
        for pair in Detail::ALL.windows(2) {
            assert!((pair[0] as u16) < (pair[1] as u16));
        }
        for detail in Detail::ALL {
            assert_eq!(detail.category() as u16, *detail as u16 / 100, "{detail:?}");
        }
    }
}
