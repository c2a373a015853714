"""Files that are nearly right, given to every reader: a result or an error of ours, soon, in little memory."""
