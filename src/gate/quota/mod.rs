//! Counted budgets.
