//! RNS-CKKS (Cheon, Kim, Kim, Song, ePrint 2016/421 and 2018/931).
