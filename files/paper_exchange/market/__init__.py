"""The public market that paper orders trade against: a recording at a stated pace, or Bitget's own, relayed."""
