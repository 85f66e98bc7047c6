//! JSON's grammar over tokens: which token may come next, and whether brackets match.

/// Deepest nesting accepted, `serde_json`'s own limit; DCE 2.47 nests 6 deep. The brackets fit one `u128`.
pub(super) const MAX_DEPTH: u32 = 127;

/// Brackets open around the members of a message: document, `messages`, message.
pub(super) const IN_MESSAGE: u32 = 3;

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
pub(super) enum Bracket {
    Object,
    Array,
}

/// Why a token cannot stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrammarFault {
    Misplaced,
    TooDeep,
}

/// The place within one JSON document. Starts before the root value; after it, nothing is allowed.
#[derive(Debug)]
pub(super) struct Grammar {
    expect: Expect,
    depth: u32,
    /// Open brackets, the innermost in the lowest bit; a set bit is an object.
    objects: u128,
}

impl Grammar {
    pub(super) const fn new() -> Self {
        Self { expect: Expect::Value, depth: 0, objects: 0 }
    }

    /// Just inside of a message.
    pub(super) const fn in_message() -> Self {
        Self { expect: Expect::KeyOrEnd, depth: IN_MESSAGE, objects: 0b101 }
    }

    /// Brackets open right now.
    pub(super) const fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether a value may begin here.
    pub(super) const fn wants_value(&self) -> bool {
        matches!(self.expect, Expect::Value | Expect::ValueOrEnd)
    }

    /// Whether the string just read was a key.
    pub(super) const fn after_key(&self) -> bool {
        matches!(self.expect, Expect::Colon)
    }

    pub(super) fn open(&mut self, bracket: Bracket) -> Result<(), GrammarFault> {
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

    pub(super) fn close(&mut self, bracket: Bracket) -> Result<(), GrammarFault> {
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

    pub(super) fn comma(&mut self) -> Result<(), GrammarFault> {
        if self.expect != Expect::CommaOrEnd || self.depth == 0 {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = if self.is_object(0) { Expect::Key } else { Expect::Value };
        Ok(())
    }

    pub(super) fn colon(&mut self) -> Result<(), GrammarFault> {
        if self.expect != Expect::Colon {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = Expect::Value;
        Ok(())
    }

    /// A string, key or value.
    pub(super) fn string(&mut self) -> Result<(), GrammarFault> {
        if matches!(self.expect, Expect::Key | Expect::KeyOrEnd) {
            self.expect = Expect::Colon;
            return Ok(());
        }
        self.scalar()
    }

    /// A number or a literal.
    pub(super) fn scalar(&mut self) -> Result<(), GrammarFault> {
        if !self.wants_value() {
            return Err(GrammarFault::Misplaced);
        }
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    /// Whether the bracket this many levels above the innermost one is an object's.
    pub(super) const fn is_object(&self, above: u32) -> bool {
        self.objects >> above & 1 == 1
    }
}
