//! Why a package is not in a plan.

use std::fmt;

use serde::Serialize;

use super::{Device, Entry};

/// Why a package of the index is not in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// It leads back from an update that is not confirmed.
    WayBack,
    /// It leads back to an older release on purpose.
    Restore,
    /// It is of a release above the one asked for.
    AboveGoal,
    /// The device is in none of its groups.
    Group,
    /// The device has no component of this name.
    NoComponent {
        /// The name.
        component: String,
    },
    /// It takes more working memory than the device has.
    Workspace {
        /// Bytes it takes.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// Its new image is longer than the slot.
    SlotTooSmall {
        /// The component.
        component: String,
        /// Bytes of the image.
        needed: u64,
        /// Bytes of the slot.
        available: u64,
    },
    /// It takes a second slot.
    SecondSlot {
        /// The component.
        component: String,
    },
    /// It is longer than what the device has for downloads.
    Download {
        /// Bytes of the package.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// No chain of packages that the device accepts leads to its old image.
    Unreachable,
    /// Its old image can be reached, but then its sequence number is lower than the device's.
    SequenceTooLow,
    /// Its old image can be reached, but its sequence number is too far ahead.
    SequenceTooHigh,
    /// The chain that ends with it is dearer than the whole plan, or takes as much in more steps.
    DearerThanPlan {
        /// Bytes of the cheapest chain that ends with it.
        cost: u64,
    },
    /// Its new image is reached more cheaply, or with fewer packages.
    DearerThere {
        /// Bytes of the cheapest chain that ends with it.
        cost: u64,
        /// Bytes of the cheapest chain to the same images.
        best: u64,
    },
    /// It is the cheapest way to its new image, but not on the cheapest way to the goal.
    Aside {
        /// Bytes of the cheapest chain that ends with it.
        cost: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::WayBack => write!(f, "leads back from an update that is not confirmed"),
            Reason::Restore => write!(f, "restores an older release"),
            Reason::AboveGoal => write!(f, "is of a later release than the one asked for"),
            Reason::Group => write!(f, "is for groups that the device is not in"),
            Reason::NoComponent { component } => write!(f, "the device has no {component}"),
            Reason::Workspace { needed, available } => {
                write!(f, "takes {needed} bytes of working memory, the device has {available}")
            }
            Reason::SlotTooSmall { component, needed, available } => {
                write!(f, "{component} gets {needed} bytes long, its slot has {available}")
            }
            Reason::SecondSlot { component } => {
                write!(f, "takes a second slot for {component}, the device has one")
            }
            Reason::Download { needed, available } => {
                write!(f, "is {needed} bytes long, the device has room for {available}")
            }
            Reason::Unreachable => write!(f, "no chain leads to its old image"),
            Reason::SequenceTooLow => write!(f, "its sequence number is lower by then"),
            Reason::SequenceTooHigh => write!(f, "its sequence number is too far ahead"),
            Reason::DearerThanPlan { cost } => {
                write!(f, "{cost} bytes up to its new image; the plan is no dearer in all")
            }
            Reason::DearerThere { cost, best } => {
                write!(f, "{cost} bytes up to its new image, which {best} bytes reach as well")
            }
            Reason::Aside { cost } => {
                write!(f, "{cost} bytes up to its new image, from where the goal is not cheaper")
            }
        }
    }
}

/// What a device has to say against `entry` whatever it runs; `order_max` is the release asked for.
pub(super) fn excluded(entry: &Entry, device: &Device, order_max: u64) -> Option<Reason> {
    if entry.undoes.is_some() {
        return Some(Reason::WayBack);
    }
    if entry.is_restore {
        return Some(Reason::Restore);
    }
    if !is_for(entry, device) {
        return Some(Reason::Group);
    }
    if entry.order > order_max {
        return Some(Reason::AboveGoal);
    }
    no_room(entry, device)
}

/// Whether the device is in a group of the package; one without groups is for everyone.
pub(super) fn is_for(entry: &Entry, device: &Device) -> bool {
    entry.groups.is_empty() || entry.groups.iter().any(|group| device.groups.contains(group))
}

/// What there is no room for.
pub(super) fn no_room(entry: &Entry, device: &Device) -> Option<Reason> {
    for part in &entry.parts {
        let component = || part.name.clone();
        let Some(slot) = device.components.get(&part.name) else {
            return Some(Reason::NoComponent { component: component() });
        };
        if device.one_slot && !part.in_place {
            return Some(Reason::SecondSlot { component: component() });
        }
        if let Some(available) = device.workspace_len.filter(|len| *len < part.workspace_len) {
            return Some(Reason::Workspace { needed: part.workspace_len, available });
        }
        if let Some(available) = slot.slot_len.filter(|len| *len < part.new.len) {
            let needed = part.new.len;
            return Some(Reason::SlotTooSmall { component: component(), needed, available });
        }
    }
    let available = device.download_len.filter(|len| *len < entry.size)?;
    Some(Reason::Download { needed: entry.size, available })
}
