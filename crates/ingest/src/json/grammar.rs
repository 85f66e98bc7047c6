//! JSON's grammar over tokens: decides which token may come next and whether brackets match.

/// Deepest accepted nesting: `serde_json`'s own limit. DCE 2.47 nests 6 deep. The brackets fit one `u128`.
pub(crate) const MAX_DEPTH: u32 = 127;

/// Number of brackets open around the members of a message: document, `messages`, message.
pub(crate) const IN_MESSAGE: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bracket {
    Object,
    Array,
}

/// A token that may not stand at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrammarFault {
    Misplaced,
    TooDeep,
}

/// The position within one JSON document. Starts before the root value; after the root value nothing is allowed.
#[derive(Debug)]
pub(crate) struct Grammar {
    expect: Expect,
    depth: u32,
    /// Open brackets, the innermost in the lowest bit; a set bit is an object.
    objects: u128,
}

impl Grammar {
    pub(crate) const fn new() -> Self {
        Self { expect: Expect::Value, depth: 0, objects: 0 }
    }

    /// The position right behind a message's opening bracket.
    pub(crate) const fn in_message() -> Self {
        Self { expect: Expect::KeyOrEnd, depth: IN_MESSAGE, objects: 0b101 }
    }

    /// Number of open brackets.
    pub(crate) const fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether a value may begin here.
    pub(crate) const fn wants_value(&self) -> bool {
        matches!(self.expect, Expect::Value | Expect::ValueOrEnd)
    }

    /// Whether the latest string was a key.
    pub(crate) const fn after_key(&self) -> bool {
        matches!(self.expect, Expect::Colon)
    }

    pub(crate) fn open(&mut self, bracket: Bracket) -> Result<(), GrammarFault> {
        self.scalar()?;
        if self.depth == MAX_DEPTH {
            return Err(GrammarFault::TooDeep);
        }
        self.depth += 1;
        let object = bracket == Bracket::Object;
        self.objects = self.objects << 1 | u128::from(object);
        self.expect = if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
        Ok(())
    }

    pub(crate) fn close(&mut self, bracket: Bracket) -> Result<(), GrammarFault> {
        let ends_here = match bracket {
            Bracket::Object => matches!(self.expect, Expect::CommaOrEnd | Expect::KeyOrEnd),
            Bracket::Array => matches!(self.expect, Expect::CommaOrEnd | Expect::ValueOrEnd),
        };
        if !ends_here || self.depth == 0 || self.is_object(0) != (bracket == Bracket::Object) {
            return Err(GrammarFault::Misplaced);
        }
        self.depth -= 1;
        self.objects >>= 1;
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    pub(crate) fn comma(&mut self) -> Result<(), GrammarFault> {
        if self.expect != Expect::CommaOrEnd || self.depth == 0 {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = if self.is_object(0) { Expect::Key } else { Expect::Value };
        Ok(())
    }

    pub(crate) fn colon(&mut self) -> Result<(), GrammarFault> {
        if self.expect != Expect::Colon {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = Expect::Value;
        Ok(())
    }

    /// Accepts a string, as key or value.
    pub(crate) fn string(&mut self) -> Result<(), GrammarFault> {
        if matches!(self.expect, Expect::Key | Expect::KeyOrEnd) {
            self.expect = Expect::Colon;
            return Ok(());
        }
        self.scalar()
    }

    /// Accepts a number or a literal.
    pub(crate) fn scalar(&mut self) -> Result<(), GrammarFault> {
        if !self.wants_value() {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    /// Whether the bracket `above` levels above the innermost one belongs to an object.
    pub(crate) const fn is_object(&self, above: u32) -> bool {
        self.objects >> above & 1 == 1
    }
}
