//! Certificate policies, as far as a path can fail by them (RFC 5280 §6.1).
//!
//! Nobody here asks for a policy of his own, so every path is good unless a CA on it demands one (policyConstraints with
//! requireExplicitPolicy): then some policy has to be valid from the top of the path down to the leaf. RFC 5280 keeps a
//! tree of what is valid, which grows exponentially; whether it is empty can be told from its lowest level alone, which
//! is the set that is kept here (RFC 9618 §3). It has as many members as the certificates have policies and mappings.

use std::collections::BTreeSet;

use super::certificate::Certificate;
use super::der::{self, Der};

/// What the extensions of a certificate say of policies (RFC 5280 §4.2.1.4, §4.2.1.5, §4.2.1.11, §4.2.1.14).
#[derive(Clone, Copy, Default)]
pub(super) struct Policies<'a> {
    /// The contents of certificatePolicies.
    policies: Option<&'a [u8]>,
    /// The contents of policyMappings.
    mappings: Option<&'a [u8]>,
    require_explicit: Option<u32>,
    inhibit_mapping: Option<u32>,
    inhibit_any: Option<u32>,
}

impl<'a> Policies<'a> {
    /// certificatePolicies: at least one, each an object identifier and perhaps qualifiers, which mean nothing to us.
    pub(super) fn read_policies(&mut self, value: &'a [u8]) -> Option<()> {
        let contents = Der::new(value).only(der::SEQUENCE).filter(|c| !c.is_empty())?;
        let mut list = Der::new(contents);
        while !list.is_empty() {
            let mut policy = Der::new(list.expect(der::SEQUENCE)?);
            policy.expect(der::OID)?;
            policy.optional(der::SEQUENCE)?;
            policy.is_empty().then_some(())?;
        }
        self.policies = Some(contents);
        Some(())
    }

    /// policyMappings: at least one pair, and none to or from anyPolicy (RFC 5280 §6.1.4 (a)).
    pub(super) fn read_mappings(&mut self, value: &'a [u8]) -> Option<()> {
        let contents = Der::new(value).only(der::SEQUENCE).filter(|c| !c.is_empty())?;
        let mut list = Der::new(contents);
        while !list.is_empty() {
            let mut pair = Der::new(list.expect(der::SEQUENCE)?);
            let (from, to) = (pair.expect(der::OID)?, pair.only(der::OID)?);
            (from != ANY_POLICY && to != ANY_POLICY).then_some(())?;
        }
        self.mappings = Some(contents);
        Some(())
    }

    /// policyConstraints: at least one of the two, each a number of certificates (SkipCerts).
    pub(super) fn read_constraints(&mut self, value: &'a [u8]) -> Option<()> {
        let contents = Der::new(value).only(der::SEQUENCE).filter(|c| !c.is_empty())?;
        let mut fields = Der::new(contents);
        let mut field = |number| match fields.optional(der::context(number))? {
            Some(skip) => Some(Some(der::unsigned(skip)?)),
            None => Some(None),
        };
        (self.require_explicit, self.inhibit_mapping) = (field(0)?, field(1)?);
        fields.is_empty().then_some(())
    }

    /// inhibitAnyPolicy.
    pub(super) fn read_inhibit_any(&mut self, value: &'a [u8]) -> Option<()> {
        self.inhibit_any = Some(der::unsigned(Der::new(value).only(der::INTEGER)?)?);
        Some(())
    }

    /// Whether some policy has to be valid below here.
    pub(super) fn demand_one(self) -> bool {
        self.require_explicit.is_some()
    }

    /// With other slices in the place of its own.
    pub(super) fn map<'b>(self, mut slice: impl FnMut(&'a [u8]) -> &'b [u8]) -> Policies<'b> {
        let (policies, mappings) = (self.policies.map(&mut slice), self.mappings.map(&mut slice));
        let Self { require_explicit, inhibit_mapping, inhibit_any, .. } = self;
        Policies { policies, mappings, require_explicit, inhibit_mapping, inhibit_any }
    }

    fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut list = Der::new(self.mappings.unwrap_or_default());
        std::iter::from_fn(move || {
            let mut pair = Der::new(list.expect(der::SEQUENCE)?);
            Some((pair.expect(der::OID)?, pair.only(der::OID)?))
        })
    }
}

/// Whether some policy is valid along the whole of this path, the leaf first, or none is asked for. An anchor's
/// certificate is where it begins: its policies and constraints hold below it (RFC 5937 §3.2).
///
/// # Errors
/// The place on the path of the certificate at which no policy is left.
pub(super) fn check(
    anchor: Option<&Certificate<'_>>,
    path: &[&Certificate<'_>],
) -> Result<(), usize> {
    if !path.iter().copied().chain(anchor).any(|c| c.extensions.policies.demand_one()) {
        return Ok(());
    }
    // RFC 5280 §6.1.2 (d) to (f)
    let more = u32::try_from(path.len()).unwrap_or(u32::MAX).saturating_add(1);
    let mut state = State { valid: Some(Valid::all()), explicit: more, mapping: more, any: more };
    if let Some(anchor) = anchor {
        if anchor.extensions.policies.policies.is_some() {
            state.narrow(anchor, true);
        }
        state.prepare(anchor, true);
    }
    for (below, certificate) in path.iter().enumerate().rev() {
        let is_leaf = below == 0;
        let is_self_issued = certificate.is_self_issued();
        state.narrow(certificate, is_self_issued && !is_leaf);
        if state.explicit == 0 && state.valid.is_none() {
            return Err(below); // RFC 5280 §6.1.3 (f)
        }
        if is_leaf {
            // RFC 5280 §6.1.5 (a), (b) and (g)
            let demands_now = certificate.extensions.policies.require_explicit == Some(0);
            let explicit = state.explicit <= 1 || demands_now;
            return if explicit && state.valid.is_none() { Err(below) } else { Ok(()) };
        }
        state.prepare(certificate, is_self_issued);
    }
    Ok(())
}

/// The variables of RFC 5280 §6.1.2, after some certificate.
struct State<'a> {
    /// valid_policy_tree: `None` is NULL.
    valid: Option<Valid<'a>>,
    /// explicit_policy
    explicit: u32,
    /// policy_mapping
    mapping: u32,
    /// inhibit_anyPolicy
    any: u32,
}

/// The policies that the next certificate may have: the expected policies of the tree's lowest level.
struct Valid<'a> {
    /// anyPolicy: all of them.
    any: bool,
    these: BTreeSet<&'a [u8]>,
}

impl Valid<'_> {
    fn all() -> Self {
        Self { any: true, these: BTreeSet::new() }
    }
}

impl<'a> State<'a> {
    /// RFC 5280 §6.1.3 (d) and (e): what is valid in this certificate, too. `is_exempt` is a self-issued CA.
    fn narrow(&mut self, certificate: &Certificate<'a>, is_exempt: bool) {
        let policies = certificate.extensions.policies.policies;
        let (Some(above), Some(policies)) = (self.valid.take(), policies) else { return };
        let mut list = Der::new(policies);
        let mut named = BTreeSet::new();
        while let Some(policy) = list.expect(der::SEQUENCE) {
            named.extend(Der::new(policy).expect(der::OID));
        }
        let all = named.remove(ANY_POLICY) && (self.any > 0 || is_exempt);
        named.retain(|policy| above.any || above.these.contains(policy));
        if all {
            named.extend(above.these);
        }
        let valid = Valid { any: all && above.any, these: named };
        self.valid = Some(valid).filter(|valid| valid.any || !valid.these.is_empty());
    }

    /// RFC 5280 §6.1.4 (b), (h), (i) and (j): what holds below this CA.
    fn prepare(&mut self, ca: &Certificate<'a>, is_self_issued: bool) {
        let policies = ca.extensions.policies;
        if let Some(valid) = &mut self.valid {
            let before = valid.these.clone();
            policies.pairs().for_each(|(from, _)| _ = valid.these.remove(from));
            if self.mapping > 0 {
                let mapped =
                    policies.pairs().filter(|(from, _)| valid.any || before.contains(from));
                valid.these.extend(mapped.map(|(_, to)| to));
            }
        }
        let constraints = [
            (&mut self.explicit, policies.require_explicit),
            (&mut self.mapping, policies.inhibit_mapping),
            (&mut self.any, policies.inhibit_any),
        ];
        for (left, most) in constraints {
            *left = left.saturating_sub(u32::from(!is_self_issued)).min(most.unwrap_or(u32::MAX));
        }
    }
}

/// Contents octets of anyPolicy.
const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];
