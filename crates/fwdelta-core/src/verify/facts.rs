//! What a device is and how it is, against what a package demands (docs/format.md, section 3.4).
//!
//! What the device does not know does not meet a demand; only expiry is not asked of a device
//! without a clock it can trust, as it would lock out every device that lost its time.

use crate::error::{Detail, Result};
use crate::format::manifest::{Demands, Manifest};

/// A component that is installed, and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed<'f> {
    /// Its name.
    pub name: &'f str,
    /// Its version: numbers of release first, those of a stage before it negative.
    pub version: &'f [i64],
}

/// What a device knows of itself, besides its trust anchor, its SIM and its last update. The
/// default is to know nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts<'f> {
    /// UUID of its vendor, checked besides the trust anchor's.
    pub vendor_id: Option<[u8; 16]>,
    /// UUID of its class, checked besides the trust anchor's.
    pub class_id: Option<[u8; 16]>,
    /// UUID of this very device.
    pub device_id: Option<[u8; 16]>,
    /// Revision of its hardware.
    pub hardware: Option<&'f [i64]>,
    /// Seconds since 1970 (UTC), if its clock can be trusted.
    pub time: Option<u64>,
    /// Charge of its battery in percent; 100 where it runs on mains.
    pub battery: Option<u8>,
    /// Bytes free for all new images together, where they share one room.
    pub free_len: Option<u64>,
    /// Whether the user, or who decides in the user's stead, authorized this update.
    pub is_authorized: bool,
    /// What is installed.
    pub installed: &'f [Installed<'f>],
}

impl Facts<'_> {
    /// Hardware revision and device id.
    pub(super) fn check_identity(&self, demands: &Demands<'_>) -> Result<()> {
        let own = self.hardware;
        let mut revisions = demands.hardware().peekable();
        let fits = revisions.peek().is_none()
            || own.is_some_and(|own| revisions.any(|revision| revision.accepts(own)));
        if !fits {
            return Err(Detail::WrongHardware.into());
        }
        match demands.device_id {
            Some(id) if self.device_id != Some(*id) => Err(Detail::WrongDevice.into()),
            _ => Ok(()),
        }
    }

    /// Expiry.
    pub(super) fn check_time(&self, demands: &Demands<'_>) -> Result<()> {
        match (demands.expires, self.time) {
            (Some(expires), Some(now)) if now >= expires => Err(Detail::Expired.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn check_dependencies(&self, manifest: &Manifest<'_>) -> Result<()> {
        for (name, wanted) in manifest.dependencies() {
            let found = self.installed.iter().find(|installed| installed.name == name);
            if !found.is_some_and(|found| wanted.accepts(found.version)) {
                return Err(Detail::DependencyVersion.into());
            }
        }
        Ok(())
    }

    pub(super) fn check_space(&self, manifest: &Manifest<'_>) -> Result<()> {
        let Some(free) = self.free_len else { return Ok(()) };
        let mut lens = manifest.components().map(|component| component.new.len);
        let needed = lens.try_fold(0u64, u64::checked_add);
        let fits = needed.is_some_and(|needed| needed <= free);
        if fits { Ok(()) } else { Err(Detail::NoSpace.into()) }
    }

    /// Battery and authorization: what may be otherwise in an hour.
    pub(super) fn check_moment(&self, demands: &Demands<'_>) -> Result<()> {
        let enough = |least| self.battery.is_some_and(|charge| charge >= least);
        if demands.battery.is_some_and(|least| !enough(least)) {
            return Err(Detail::BatteryLow.into());
        }
        if demands.priority.is_some() && !self.is_authorized {
            return Err(Detail::NotAuthorized.into());
        }
        Ok(())
    }
}
