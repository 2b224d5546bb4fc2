"""What calls of C, C++ and Fortran do with files."""

from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.wordlist import words

VERBS = Verbs(
    reads=words("ifstream std::ifstream imread H5Fopen nc_open gzopen"),
    writes=words("ofstream std::ofstream imwrite H5Fcreate nc_create"),
    opens=words("fopen freopen fstream std::fstream open OPEN Open"),
    makes=words("mkdir create_directory create_directories"),
)
