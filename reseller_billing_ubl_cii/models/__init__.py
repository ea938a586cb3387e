from . import account_edi_xml_ubl_21, account_move_line
