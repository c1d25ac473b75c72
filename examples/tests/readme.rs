//! What the README shows and says, held against the programs. Empty until there is a README.
