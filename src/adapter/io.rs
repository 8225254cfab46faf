//! A blocking stream over any `Read + Write`.
