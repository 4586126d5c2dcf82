//! What is published stays whole: commands that are killed at any of their writes, that lose what was not synced with the
//! power, or that the disk refuses anything, leave what was or what is to be, and never a mixture.
//!
//! [`scene`] has the commands, each on a directory made for it. [`killed`], [`power`] and [`refused`] go through the
//! calls that a command makes; [`state`] does so with what a gateway keeps. The whole takes minutes; without `LOCKGATE_CRASH=all` a sample is taken, by
//! `LOCKGATE_SEED`.

mod disk;
mod killed;
mod power;
mod refused;
mod sample;
mod scene;
mod state;
