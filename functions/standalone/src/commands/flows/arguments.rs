//! What `chatflow flow` is told.

use std::path::PathBuf;

use clap::Subcommand;

use crate::client::ServerArgs;
use crate::commands::Common;

/// What is done with flows.
#[derive(Debug, Subcommand)]
pub enum FlowCommand {
    /// Check a file on its own; exits with 1 where it could not be published.
    ///
    /// Example: chatflow flow check leave-request.yaml
    Check {
        /// The flow's YAML or JSON.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the tests that a file's flow has, without a server; exits with 1 where one fails.
    ///
    /// Example: chatflow flow test leave-request.yaml
    Test {
        /// The flow's YAML or JSON.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a file's flow as a draft.
    ///
    /// Example: chatflow flow push leave-request.yaml
    Push {
        /// The flow's YAML or JSON.
        file: PathBuf,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Write a flow's draft to a file, or to standard output.
    ///
    /// With `push` this moves flows between servers.
    /// Example: chatflow flow pull leave-request --output leave-request.yaml
    Pull {
        /// The flow's id.
        flow: String,
        /// The file; it must not be there yet.
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Which server, and with which key.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the flows of a server.
    ///
    /// Example: chatflow flow list
    List {
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Show a flow's draft and its versions.
    ///
    /// Example: chatflow flow show leave-request
    Show {
        /// The flow's id.
        flow: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Check a draft, run its tests, and make it live.
    ///
    /// Example: chatflow flow publish leave-request
    Publish {
        /// The flow's id.
        flow: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Publish an old version again, as a new one.
    ///
    /// Example: chatflow flow rollback leave-request --to 3
    Rollback {
        /// The flow's id.
        flow: String,
        /// The version; the one before the live one where left out.
        #[arg(long)]
        to: Option<u32>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Compare two texts of a flow; exits with 1 where they differ.
    ///
    /// Each is `draft`, `live`, the number of a version, or the path of a file.
    /// Example: `chatflow flow diff leave-request 3 leave-request.yaml`
    Diff {
        /// The flow's id.
        flow: String,
        /// The older text.
        #[arg(default_value = "live")]
        from: String,
        /// The newer text.
        #[arg(default_value = "draft")]
        to: String,
        /// Which server, and with which key.
        #[command(flatten)]
        server: ServerArgs,
    },
}
