//! The table of the module, and the machine against a model that keeps every batch for ever.

use super::*;
