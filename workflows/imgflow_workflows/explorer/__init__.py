"""What a store holds, to look at: pages in a browser on this machine, over the tables that SQL asks as well."""
