//! What one verdict may cost. A hostile chain can describe more paths than anybody can walk, and more names than anybody
//! can compare, so everything that multiplies is counted, and running out is a failure of its own name.

/// How much work is left.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    signatures: u32,
    candidates: u32,
    comparisons: u32,
}

/// The budget is spent, on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted(pub(super) &'static str);

impl Budget {
    /// A signature is about to be checked. 32 are five times what the most entangled real chains need, and some
    /// milliseconds of work (P-384: some tens).
    pub(super) fn signature(&mut self) -> Result<(), Exhausted> {
        spend(&mut self.signatures, 1, "signatures")
    }

    /// A certificate is about to be considered as an issuer.
    pub(super) fn candidate(&mut self) -> Result<(), Exhausted> {
        spend(&mut self.candidates, 1, "candidates")
    }

    /// A name is about to be compared with a constraint, at a cost of `units`.
    pub(super) fn comparison(&mut self, units: usize) -> Result<(), Exhausted> {
        spend(&mut self.comparisons, units, "name constraint comparisons")
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { signatures: 32, candidates: 1_000, comparisons: 50_000 }
    }
}

fn spend(left: &mut u32, units: usize, what: &'static str) -> Result<(), Exhausted> {
    let units = u32::try_from(units).map_err(|_| Exhausted(what))?;
    *left = left.checked_sub(units).ok_or(Exhausted(what))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_is_final() {
        let mut budget = Budget { signatures: 1, candidates: 0, comparisons: 5 };
        assert_eq!(budget.signature(), Ok(()));
        assert_eq!(budget.signature(), Err(Exhausted("signatures")));
        assert_eq!(budget.candidate(), Err(Exhausted("candidates")));
        assert_eq!(budget.comparison(6), Err(Exhausted("name constraint comparisons")));
        assert_eq!(budget.comparison(5), Ok(()));
        assert_eq!(budget.comparison(usize::MAX), Err(Exhausted("name constraint comparisons")));
    }
}
