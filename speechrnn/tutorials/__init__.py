"""What a recurrent network is, to run and to look at: small models, short training loops, pages that explain them."""
