//! What was found: a bounded number of findings of each kind, and how many there are.

use std::collections::BTreeMap;

/// Most findings of one kind that are kept; the others are counted.
pub const FINDINGS_MAX: u64 = 20;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The pages of the file.
    File,
    /// Its tables and indexes.
    Schema,
    /// A document that does not read back.
    Document,
    /// A column that does not follow from its document.
    Column,
    /// A number that is kept and not right.
    Count,
    /// Something that names what is not there.
    Reference,
    /// A task's history.
    History,
    /// The states of a message.
    State,
    /// The open tasks of a conversation.
    Conversation,
    /// An envelope that its function could not read.
    Envelope,
    /// Something that is waited for and not on its way.
    Lost,
    /// The indexes of search.
    Search,
    /// Tables of the warehouse.
    Warehouse,
    /// Rows that have not landed.
    Landing,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::File,
        Self::Schema,
        Self::Document,
        Self::Column,
        Self::Count,
        Self::Reference,
        Self::History,
        Self::State,
        Self::Conversation,
        Self::Envelope,
        Self::Lost,
        Self::Search,
        Self::Warehouse,
        Self::Landing,
    ];

    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Schema => "schema",
            Self::Document => "document",
            Self::Column => "column",
            Self::Count => "count",
            Self::Reference => "reference",
            Self::History => "history",
            Self::State => "state",
            Self::Conversation => "conversation",
            Self::Envelope => "envelope",
            Self::Lost => "lost",
            Self::Search => "search",
            Self::Warehouse => "warehouse",
            Self::Landing => "landing",
        }
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::File => "look at the disk; stop the server and restore the last backup",
            Self::Schema => "somebody changed the tables by hand; restore the last backup",
            Self::Document | Self::Column | Self::History | Self::State => {
                "somebody or something else than Chatflow wrote here, or there is a bug: keep a \
                 copy of the file, report it, and restore the last backup where it matters"
            }
            Self::Count => "reports show wrong numbers until the last backup is restored",
            Self::Reference => "what is named was lost: restore the last backup that has it",
            Self::Conversation => {
                "cancel the task named, or restore the last backup; messages of this person may \
                 go to another task meanwhile"
            }
            Self::Envelope => "it becomes a failure when it is delivered; look at it there",
            Self::Lost => "cancel or retry the task, or send the message anew; nothing else will",
            Self::Search => "searches miss this; restore the last backup where it matters",
            Self::Warehouse => "restart the server, which makes its tables; else restore a backup",
            Self::Landing => "reports over the warehouse miss this; the store itself has it",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub aspect: Aspect,
    /// Where: the table and the id.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version of the file; 0 where not even that can be read.
    pub version: usize,
    /// The parts that were read to their end, with the number of their rows.
    pub checked: Vec<(&'static str, u64)>,
    /// The first findings of each kind.
    pub findings: Vec<Finding>,
    /// How many there are of each kind.
    pub counts: BTreeMap<Aspect, u64>,
}

impl Report {
    pub(super) fn new(version: usize) -> Self {
        Self { version, checked: Vec::new(), findings: Vec::new(), counts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, aspect: Aspect, place: String, problem: String) {
        let count = self.counts.entry(aspect).or_default();
        *count += 1;
        if *count <= FINDINGS_MAX {
            self.findings.push(Finding { aspect, place, problem });
        }
    }

    /// How many findings there are.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}
