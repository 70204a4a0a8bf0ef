//! It gives text that is not UTF-8 as its reason.
#![allow(unsafe_code, reason = "text that is not UTF-8 cannot be had otherwise")]

use hostile::sdk::FetchError;

// SAFETY: nothing in the guest reads it; that the host refuses it is what is tried here.
hostile::fetch!(|_, _| Err(FetchError::Fatal(unsafe { String::from_utf8_unchecked(vec![0xc3, 0x28, 0xff]) })));
