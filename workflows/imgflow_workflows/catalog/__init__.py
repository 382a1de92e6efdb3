"""What is told of photographs beside their pixels: kept per municipality, and asked with SQL over all of them."""
